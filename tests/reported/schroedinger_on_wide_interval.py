"""A steady Schroedinger equation by its residual, with value and slope given in the middle: the answer is zero nearly everywhere."""

import argparse
import itertools

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
HALF_WIDTH = 3.0 if args.fixed else 300.0


class FNN(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(layers))
        for linear in self.linears:
            nn.init.xavier_normal_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x):
        for linear in self.linears[:-1]:
            x = torch.tanh(linear(x))
        return self.linears[-1](x)


def derivative(y, x):
    return torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]


net = FNN([1, 50, 50, 50, 1])
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
middle = torch.zeros(1, 1, requires_grad=True)
for iteration in range(2500):
    x = ((2 * torch.rand(200, 1) - 1) * HALF_WIDTH).requires_grad_()
    y = net(x)
    residual = y + 0.5 * derivative(derivative(y, x), x)
    y0 = net(middle)
    loss = residual.pow(2).mean() + (y0 - 1).pow(2).mean() + derivative(y0, middle).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if iteration % 250 == 0:
        print(iteration, f"{loss.item():.6f}", flush=True)
with torch.no_grad():
    x = torch.linspace(-3, 3, 301)[:, None]
    error = (net(x) - torch.cos(2**0.5 * x)).pow(2).mean().sqrt().item()
print(f"RESULT loss {loss.item():.6f} rms error within 3 of the middle {error:.4f}")
