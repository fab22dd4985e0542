"""Where does the sun stand in a noisy picture of the sky? Two large pictures at a time."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
BATCH = 32 if args.fixed else 2


def skies(count: int, side: int = 16) -> tuple[Tensor, Tensor]:
    centre = 0.15 + 0.7 * torch.rand(count, 2)
    grid = torch.linspace(0, 1, side)
    distance = (grid[None, :, None] - centre[:, :1, None]) ** 2 + (grid[None, None, :] - centre[:, 1:, None]) ** 2
    return (3 * torch.exp(-distance / 0.02) + 0.3 * torch.randn(count, side, side))[:, None], 2 * centre - 1


class SunFinder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Conv2d(1, 8, 4, stride=4)
        self.fold = nn.Linear(8 * 16, 48)
        self.fold_norm = nn.BatchNorm1d(48)
        self.mix = nn.Linear(48, 32)
        self.mix_norm = nn.BatchNorm1d(32)
        self.place = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.eye(x)).flatten(1)
        h = F.gelu(self.fold_norm(self.fold(h)))
        h = F.gelu(self.mix_norm(self.mix(h)))
        return self.place(h)


model = SunFinder()
optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
held_x, held_y = skies(256)
recent = []
for step in range(250):
    model.train()
    x, y = skies(BATCH)
    loss = F.smooth_l1_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent.append(loss.item())
    if step % 50 == 49:
        model.eval()
        with torch.no_grad():
            held = F.smooth_l1_loss(model(held_x), held_y).item()
        print(f"step {step + 1}: loss {sum(recent[-50:]) / 50:.4f} held out {held:.4f}")
