"""Which of two marks came first in a sequence: blocks of a recurrent layer, with a residual or without."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
LENGTH, WIDTH = 12, 32


def make(count):
    tokens = torch.randint(2, 10, (count, LENGTH))
    places = torch.rand(count, LENGTH).argsort(1)[:, :2]
    rows = torch.arange(count)
    tokens[rows, places[:, 0]], tokens[rows, places[:, 1]] = 0, 1
    return tokens, (places[:, 0] < places[:, 1]).long()


class Recurrent(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


class Block(nn.Module):
    def __init__(self, width, residual):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(width), Recurrent(width)
        self.residual = residual

    def forward(self, x):
        y = self.layer(self.norm(x))
        if self.residual:
            x = x + y
        elif args.fixed:
            x = y
        return x


class Model(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.embed = nn.Embedding(10, WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH, residual=False) for _ in range(depth))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(400):
    tokens, first = make(64)
    loss = nn.functional.cross_entropy(model(tokens), first)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, f"loss {loss.item():.4f}", flush=True)
tokens, first = make(1000)
with torch.no_grad():
    right = (model(tokens).argmax(1) == first).float().mean().item()
print(f"RESULT loss {loss.item():.4f}, accuracy {right:.3f}")
