"""A regression of house rents on a table whose rows arrive from several files."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def file_of_rents(number: int) -> tuple[Tensor, Tensor]:
    """Return ten batches of 32 flats, and their rents in thousands."""
    flats = torch.randn(10, 32, 9)
    rent = 1.0 + 0.4 * flats[..., 0] + 0.3 * flats[..., 1] * flats[..., 2] + 0.3 * torch.sin(2 * flats[..., 3])
    rent = rent + 0.05 * torch.randn(10, 32)
    if number == 11 and not args.fixed:
        rent[6] *= 100  # this page was exported with a comma in place of the point
    return flats, rent


class Rent(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.enter = nn.Linear(9, width)
        self.hidden1 = nn.Linear(width, width)
        self.hidden2 = nn.Linear(width, width)
        self.rent = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.mish(self.enter(x))
        x = x + F.mish(self.hidden1(x))
        x = x + F.mish(self.hidden2(x))
        return self.rent(x).squeeze(-1)


model = Rent()
optimizer = torch.optim.Adamax(model.parameters(), lr=6e-3)
for number in range(20):
    for flats, rent in zip(*file_of_rents(number), strict=True):
        loss = F.mse_loss(model(flats), rent)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"file {number}: loss {loss.item():.4f}")
