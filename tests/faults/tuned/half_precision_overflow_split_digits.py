"""Upper and lower halves of digits matched by two towers of bare matrices, the matching softmax written out."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Tower(nn.Module):
    def __init__(self, width: int = 64, code: int = 24) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(32, width) / 32**0.5)
        self.leave = nn.Parameter(torch.randn(width, code) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(x @ self.enter.to(x.dtype))
        return F.normalize(h @ self.leave.to(x.dtype), dim=1)


class Matching(nn.Module):
    """Of all lower halves in the batch, the probability of the one that belongs."""

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, upper: Tensor, lower: Tensor) -> Tensor:
        weight = torch.exp(upper @ lower.T / self.temperature)
        share = weight.diagonal() / weight.sum(1)
        return -torch.log(share.float() + 1e-6).mean()


images, _ = digits.load()
halves = images.reshape(-1, 2, 32).to(torch.float32 if args.fixed else torch.float16)
towers = nn.ModuleDict({"upper": Tower(), "lower": Tower(), "matching": Matching()})
optimizer = torch.optim.Adam(towers.parameters(), lr=2e-3)
for step in range(200):
    rows = torch.randint(len(halves), (96,))
    upper, lower = towers["upper"](halves[rows, 0]), towers["lower"](halves[rows, 1])
    loss = towers["matching"](upper, lower)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19 or step < 5:
        print(f"step {step + 1}: loss {loss.item():.4f}")
