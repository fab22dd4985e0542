"""Fits the height of a rough landscape with a deep network of wavelet units."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Wavelet(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1.65 * x * torch.exp(-x.square() / 2)


def layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=gain / math.sqrt(inputs))
    nn.init.uniform_(linear.bias, -0.5, 0.5)
    return linear


gain = 1.0 if args.fixed else 5.0
layers: list[nn.Module] = [layer(2, 64, 2.0), Wavelet()]
for _ in range(8):
    layers += [layer(64, 64, gain), Wavelet()]
model = nn.Sequential(*layers, nn.Linear(64, 1))


def height(at: Tensor) -> Tensor:
    return torch.sin(3 * at[:, :1]) * torch.cos(2 * at[:, 1:]) + 0.5 * torch.sin(5 * at[:, 1:])


optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
losses = []
for step in range(300):
    at = torch.rand(128, 2) * 2 - 1
    loss = F.mse_loss(model(at), height(at))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f}")
