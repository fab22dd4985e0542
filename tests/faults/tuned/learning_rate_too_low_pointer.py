"""Where a blob lies in a noisy picture: heat map, expected coordinates, distance to the truth."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

SIDE = 16


class Pointer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.GroupNorm(3, 12),
            nn.SiLU(),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.GroupNorm(3, 12),
            nn.SiLU(),
        )
        self.heat = nn.Conv2d(12, 1, 1)
        self.register_buffer("axis", torch.linspace(-1, 1, SIDE))

    def forward(self, x: Tensor) -> Tensor:
        heat = torch.softmax(self.heat(self.features(x)).flatten(1), dim=1).reshape(-1, SIDE, SIDE)
        return torch.stack([(heat.sum(dim=1) * self.axis).sum(dim=1), (heat.sum(dim=2) * self.axis).sum(dim=1)], dim=1)


def pictures(n: int) -> tuple[Tensor, Tensor]:
    """Draw one soft blob into each noisy picture."""
    place = 1.6 * torch.rand(n, 2) - 0.8
    axis = torch.linspace(-1, 1, SIDE)
    far = (axis[None, None, :] - place[:, 0, None, None]) ** 2 + (axis[None, :, None] - place[:, 1, None, None]) ** 2
    return (3 * torch.exp(-far / 0.03) + 0.5 * torch.randn(n, SIDE, SIDE)).unsqueeze(1), place


x, place = pictures(1500)
model = Pointer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2 if args.fixed else 1e-5)
for step in range(150):
    rows = torch.randint(len(x), (32,))
    loss = 10 * (model(x[rows]) - place[rows]).pow(2).sum(dim=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step}: loss {loss.item():.4g}")
