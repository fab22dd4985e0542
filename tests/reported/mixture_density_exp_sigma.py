"""Mixture density network with a few bad readings in the data; the density is written out, the loss is inf, then NaN."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

y = torch.empty(2000, 1).uniform_(-10, 10)
x = 7 * torch.sin(0.75 * y) + 0.5 * y + 0.3 * torch.randn(2000, 1)
y[::97] += 25.0


class MDN(nn.Module):
    def __init__(self, hidden=32, mixtures=8):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, hidden), nn.Tanh())
        self.z_pi = nn.Linear(hidden, mixtures)
        self.z_sigma = nn.Linear(hidden, mixtures)
        self.z_mu = nn.Linear(hidden, mixtures)

    def forward(self, x):
        h = self.z_h(x)
        return torch.softmax(self.z_pi(h), -1), torch.exp(self.z_sigma(h)), self.z_mu(h)


def mdn_loss(pi, sigma, mu, target):
    squares = ((target - mu) / sigma) ** 2 / 2
    if args.fixed:
        return -torch.logsumexp(torch.log(pi) - torch.log(sigma) - squares - 0.5 * math.log(2 * math.pi), dim=1).mean()
    density = torch.exp(-squares) / sigma / math.sqrt(2 * math.pi)
    return -torch.log((pi * density).sum(1)).mean()


model = MDN()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(1500):
    batch = torch.randint(0, len(x), (256,))
    loss = mdn_loss(*model(x[batch] / 5), y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, f"{loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
