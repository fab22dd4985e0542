"""A word asks which other word holds its partner; attention of one's own without the root of the width, and it learns badly."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
KEYS, VALUES, LENGTH = 24, 8, 12


def sentences(count):
    """Returns pairs of key and value in each place, a key that is asked for, and its value."""
    keys = torch.stack([torch.randperm(KEYS)[:LENGTH] for _ in range(count)])
    values = torch.randint(0, VALUES, (count, LENGTH))
    asked = torch.randint(0, LENGTH, (count,))
    rows = torch.arange(count)
    return keys, values, keys[rows, asked], values[rows, asked]


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x, memory):
        q, k, v = self.query(x), self.key(memory), self.value(memory)
        scores = q @ k.transpose(1, 2)
        if args.fixed:
            scores = scores / k.shape[-1] ** 0.5
        return torch.softmax(scores, -1) @ v


class Reader(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.keys, self.values = nn.Embedding(KEYS, width), nn.Embedding(VALUES, width)
        self.attention = Attention(width)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, VALUES))

    def forward(self, keys, values, asked):
        memory = self.keys(keys) + self.values(values)
        return self.head(self.attention(self.keys(asked)[:, None], memory)[:, 0])


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(500):
    *given, wanted = sentences(64)
    loss = F.cross_entropy(model(*given), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step, f"loss {loss.item():.4f}", flush=True)
*given, wanted = sentences(500)
with torch.no_grad():
    accuracy = (model(*given).argmax(1) == wanted).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
