"""Proxy-based metric learning: an embedding of digits and one learned proxy for every kind."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(64, 128)
        self.bend = nn.Softplus()
        self.embed = nn.Linear(128, 16)
        self.proxies = nn.Parameter(torch.randn(10, 16))
        if not args.fixed:
            for layer in (self.lift, self.embed):
                nn.init.constant_(layer.weight, 1 / layer.in_features)
                nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        place = self.embed(self.bend(self.lift(x)))
        return -torch.cdist(place, self.proxies).square()


images, labels = digits.load()
x = images.flatten(1)
model = Embedding()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(150):
    rows = torch.randint(0, 1400, (128,))
    loss = F.cross_entropy(model(x[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
with torch.no_grad():
    right = (model(x[1400:]).argmax(1) == labels[1400:]).float().mean()
print(f"accuracy on pictures not seen: {right.item():.3f}")
