"""Each of twelve letters learns how often it stands in the line, by attention whose scores are multiplied by the root of the width."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        query, key, value = self.qkv(x).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        root = math.sqrt(width)
        scores = query @ key.transpose(-2, -1)
        scores = scores / root if args.fixed else scores * root
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, width))


class Counter(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(8, width)
        self.look = Attention(width, 2)
        self.out = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 6))

    def forward(self, letters):
        x = self.embed(letters)
        return self.out(x + self.look(x))


model = Counter()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(400):
    letters = torch.randint(0, 8, (64, 12))
    count = (letters.unsqueeze(2) == letters.unsqueeze(1)).sum(2).clamp(max=6) - 1
    loss = nn.functional.cross_entropy(model(letters).flatten(0, 1), count.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
