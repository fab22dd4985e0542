"""Degree of kinship of two genomes from marker agreement: a stack of hand-written layers of positive features."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Positive(nn.Module):
    """A matrix of its own and units that stay above zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(1.15 * torch.randn(inputs, outputs) / inputs**0.5)
        self.lift = nn.Parameter(torch.full((outputs,), 0.0 if args.fixed else 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x @ self.matrix) + self.lift


class Kinship(nn.Module):
    def __init__(self, markers: int = 40, width: int = 64, depth: int = 9) -> None:
        super().__init__()
        self.stack = nn.ModuleList(Positive(markers if i == 0 else width, width) for i in range(depth))
        self.degree = nn.Parameter(torch.zeros(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.stack:
            x = layer(x)
        return (x @ self.degree).squeeze(1)


rule = torch.randn(3, 40) / 40**0.5


def pairs(count: int) -> tuple[Tensor, Tensor]:
    markers = torch.randn(count, 40)
    parts = markers @ rule.T
    return markers, parts[:, 0] * torch.sign(parts[:, 1]) + 0.5 * parts[:, 2]


model = Kinship()
optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
pool, degrees = pairs(1024)
last = []
for step in range(300):
    rows = torch.randint(1024, (64,))
    loss = F.mse_loss(model(pool[rows]), degrees[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    last = [*last[-19:], loss.item()]
    if step % 50 == 49:
        print(f"step {step + 1}: loss {sum(last) / len(last):.4f}")
