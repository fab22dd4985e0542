"""Recalls the first symbol of a sequence with a hand-written recurrent cell."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
SYMBOLS, LENGTH, HIDDEN = 2, 24, 32


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(HIDDEN, HIDDEN, bias=False)
        if args.fixed:
            nn.init.eye_(self.read.weight)
        else:
            nn.init.orthogonal_(self.read.weight, gain=0.4)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(x + self.read(h))


class Memory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(SYMBOLS, HIDDEN)
        self.later = nn.Linear(2, HIDDEN)
        nn.init.normal_(self.first.weight, std=0.5)
        nn.init.normal_(self.later.weight, std=0.05)
        self.cell = Cell()
        self.out = nn.Linear(HIDDEN, SYMBOLS)

    def forward(self, symbol: Tensor, noise: Tensor) -> Tensor:
        h = torch.tanh(self.first(symbol))
        for x in self.later(noise).unbind(dim=1):
            h = self.cell(x, h)
        return self.out(h)


model = Memory()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(180):
    symbol = torch.randint(0, SYMBOLS, (32,))
    output = model(symbol, torch.randn(32, LENGTH, 2))
    loss = nn.functional.cross_entropy(output, symbol)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}, right {(output.argmax(1) == symbol).float().mean().item():.3f}")
