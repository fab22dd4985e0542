"""A network of folded planes learns the height of a terrain (triangle waves in place of ReLUs)."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Fold(nn.Module):
    """A triangle wave: the identity from -1 to 1, folded back beyond."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1 - torch.abs(torch.remainder(x + 1, 4) - 2)


def folded(ins: int, outs: int, gain: float) -> list[nn.Module]:
    layer = nn.Linear(ins, outs)
    nn.init.normal_(layer.weight, std=gain / ins**0.5)
    return [layer, Fold()]


place = torch.rand(1500, 6) * 2 - 1
height = (torch.sin(2 * place[:, 0] + place[:, 1]) + place[:, 2] * place[:, 3] + 0.5 * torch.cos(2 * place[:, 4]))[:, None]
gain = 1.0 if args.fixed else 3.0
parts = folded(6, 48, 1.0)
for _ in range(8):
    parts += folded(48, 48, gain)
model = nn.Sequential(*parts, nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.8)
for step in range(250):
    rows = torch.randint(0, 1200, (64,))
    loss = F.mse_loss(model(place[rows]), height[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
with torch.no_grad():
    print(f"error on the training places: {F.mse_loss(model(place[:1200]), height[:1200]).item():.4f}")
