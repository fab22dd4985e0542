"""Fit a digit's image as a function of the coordinates with sine layers."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

OMEGA = 10.0


class Sine(nn.Module):
    def __init__(self, inputs: int, outputs: int, first: bool = False):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        bound = 1 / inputs if first else (6 / inputs) ** 0.5
        if args.fixed and not first:
            bound /= OMEGA
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(OMEGA * self.linear(x))


images, _ = digits.load(side=24)
picture = images[args.seed, 0]
axis = torch.linspace(-1, 1, 24)
points = torch.cartesian_prod(axis, axis).to(device)
values = picture.reshape(-1, 1).to(device)

layers = [Sine(2, 64, first=True)] + [Sine(64, 64) for _ in range(5)]
model = nn.Sequential(*layers, nn.Linear(64, 1)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
for step in range(150):
    chosen = torch.randint(len(points), (128,))
    loss = F.mse_loss(model(points[chosen]), values[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    print(f"error over the picture {F.mse_loss(model(points), values).item():.4f}")
