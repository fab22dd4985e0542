"""Length of a stride from a belt sensor: convolutions over the trace, their summary normalised before two dense layers."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

BATCH = 40 if args.fixed else 2


class Stride(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.reader = nn.Conv1d(2, width, 5)
        self.first_norm = nn.BatchNorm1d(width)
        self.dense = nn.Linear(width, width)
        self.second_norm = nn.BatchNorm1d(width)
        self.length = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        summary = self.first_norm(F.gelu(self.reader(x.transpose(1, 2))).mean(2))
        return self.length(F.gelu(self.second_norm(self.dense(summary)))).squeeze(1)


def walks(count: int) -> tuple[Tensor, Tensor]:
    t = torch.arange(24) / 6
    push, sway = 0.5 + torch.rand(count, 1), torch.rand(count, 1)
    forward = push * torch.sin(6.28 * t + 6.28 * torch.rand(count, 1)).abs()
    side = sway * torch.sin(3.14 * t + 6.28 * torch.rand(count, 1))
    x = torch.stack([forward, side], 2) + 0.05 * torch.randn(count, 24, 2)
    return x, 3 * (push - 1).squeeze(1) - 2 * (sway - 0.5).squeeze(1)


model = Stride()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x_held, held_length = walks(300)
for step in range(300):
    model.train()
    x, length = walks(BATCH)
    loss = F.mse_loss(model(x), length)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(x_held), held_length).item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f}")
