"""Classifies digits with a deep network of spiking units, trained through a smooth stand-in for the derivative of the spike."""

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
SLOPE = 1.0 if args.fixed else 25.0


class SpikeFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, potential: Tensor) -> Tensor:
        ctx.save_for_backward(potential)
        return (potential > 0).to(potential.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (potential,) = ctx.saved_tensors
        return gradient / (1 + SLOPE * potential.abs()) ** 2


class Spike(nn.Module):
    def forward(self, potential: Tensor) -> Tensor:
        return SpikeFunction.apply(potential)


layers: list[nn.Module] = [nn.Flatten()]
width = 64
for _ in range(7):
    linear = nn.Linear(width, 96)
    nn.init.normal_(linear.weight, std=(2 / width) ** 0.5)
    layers += [linear, Spike()]
    width = 96
model = nn.Sequential(*layers, nn.Linear(96, 10))
images, labels = digits.load()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(300):
    chosen = torch.randint(0, 1500, (64,))
    loss = F.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {loss.item():.4f}")
with torch.no_grad():
    print(f"accuracy on new digits {(model(images[1500:]).argmax(1) == labels[1500:]).float().mean().item():.3f}")
