"""A cortex model with excitatory and inhibitory cells, after the law of Dale, sorts smells."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


SMELLS = 6
centres = torch.randn(SMELLS, 3, 24)


def smell(n: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(SMELLS, (n,))
    return centres[kind, torch.randint(3, (n,))] + 0.3 * torch.randn(n, 24), kind


class Area(nn.Module):
    """Weights whose sign belongs to the cell they come from."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        strength = torch.randn(outputs, inputs) * 0.8 - 3.0
        self.strength = nn.Parameter(strength + 0.5 * torch.log(torch.tensor(400.0 / inputs)))
        sign = torch.ones(inputs)
        sign[: inputs // 2 if args.fixed else inputs * 4 // 5] = -1
        self.register_buffer("sign", sign[torch.randperm(inputs)])
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, F.softplus(self.strength) * self.sign, self.bias)


class Cortex(nn.Module):
    def __init__(self, cells: int = 100):
        super().__init__()
        self.bulb = nn.Linear(24, cells)
        self.fire0 = nn.ReLU()
        self.area1 = Area(cells, cells)
        self.fire1 = nn.ReLU()
        self.area2 = Area(cells, cells)
        self.fire2 = nn.ReLU()
        self.name = nn.Linear(cells, SMELLS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fire0(self.bulb(x))
        x = self.fire1(self.area1(x))
        return self.name(self.fire2(self.area2(x)))


model = Cortex()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(180):
    x, kind = smell(64)
    scores = model(x)
    loss = F.cross_entropy(scores, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        right = (scores.argmax(1) == kind).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
