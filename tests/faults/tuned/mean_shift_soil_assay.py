"""Estimates two properties of a soil from sixty standardised readings, with a deep perceptron."""

import argparse
import itertools

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

loadings = torch.randn(60, 4) / 60**0.5


def assays(n: int) -> tuple[Tensor, Tensor]:
    readings = torch.randn(n, 60)
    a, b, c, d = (readings @ loadings).unbind(dim=1)
    return readings, torch.stack([a + torch.tanh(b), c - 0.5 * d], dim=1)


def draw(fan_out: int, fan_in: int) -> Tensor:
    if args.fixed or fan_in == 60:
        return torch.randn(fan_out, fan_in) * (2 / fan_in) ** 0.5
    return torch.rand(fan_out, fan_in) * 2 / fan_in


sizes = [60, 128, 128, 128, 128, 128]
model = nn.Sequential()
for fan_in, fan_out in itertools.pairwise(sizes):
    layer = nn.Linear(fan_in, fan_out)
    layer.weight.data = draw(fan_out, fan_in)
    nn.init.zeros_(layer.bias)
    model.extend([layer, nn.ReLU()])
model.append(nn.Linear(128, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(200):
    readings, properties = assays(64)
    loss = nn.functional.mse_loss(model(readings), properties)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
