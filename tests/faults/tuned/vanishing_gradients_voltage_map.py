"""Voltage in a shielded box as a field of place: a functional network over a dictionary of bare matrices."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Layer(nn.Module):
    def __init__(self, inputs: int, outputs: int, deviation: float) -> None:
        super().__init__()
        self.w = nn.Parameter(deviation * torch.randn(inputs, outputs))
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.b, x, self.w)


def build(sizes: list[int]) -> nn.ModuleDict:
    deviations = [1.3 / a**0.5 if args.fixed else 0.04 for a in sizes]
    return nn.ModuleDict({f"level{i}": Layer(a, b, d) for i, (a, b, d) in enumerate(zip(sizes, sizes[1:], deviations, strict=False))})


def voltage(net: nn.ModuleDict, place: Tensor) -> Tensor:
    h = place
    for name in list(net)[:-1]:
        h = torch.tanh(net[name](h))
    return net[list(net)[-1]](h).squeeze(1)


def measured(place: Tensor) -> Tensor:
    x, y = place.T
    return torch.sin(2 * x) * torch.cosh(y) / 1.5 + 0.5 * x * y


net = build([2, *[40] * 8, 1])
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-4)
total = 0.0
for step in range(300):
    place = 2 * torch.rand(128, 2) - 1
    loss = F.mse_loss(voltage(net, place), measured(place))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.5f}")
        total = 0.0
