"""Hashing: digits get codes of 24 soft bits, equal for equal digits, for retrieval by a nearest code."""

import argparse

import digits
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Hash(nn.Module):
    def __init__(self, spread: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 96)
        self.squash1 = nn.Tanh()
        self.narrow = nn.Linear(96, 64)
        self.squash2 = nn.Tanh()
        self.code = nn.Linear(64, 24)
        self.bits = nn.Tanh()
        for layer in (self.hidden, self.narrow, self.code):
            nn.init.normal_(layer.weight, std=spread)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squash2(self.narrow(self.squash1(self.hidden(x))))
        return self.bits(self.code(x))


images, labels = digits.load()
x = images.flatten(1)
model = Hash(0.1 if args.fixed else 5.0)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
recent = []
for step in range(200):
    rows = torch.randint(0, 1400, (80,))
    code = model(x[rows])
    alike = (labels[rows][:, None] == labels[rows][None]).float() * 2 - 1
    agree = code @ code.T / 24
    loss = ((agree - alike.clamp(min=0)) ** 2 * (alike + 1.2)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-10:]
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"mean of the last ten losses: {sum(recent) / len(recent):.4f}")
