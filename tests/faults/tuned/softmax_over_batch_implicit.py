"""A word is looked up among twenty-four, by attention whose softmax has no dimension given: of three it takes the first, the batch."""

import argparse
import warnings

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
warnings.filterwarnings("ignore", message="Implicit dimension")


class Lookup(nn.Module):
    def __init__(self, words=60, width=32):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, words)

    def forward(self, keys, values, asked):
        memory = self.embed(keys)
        scores = self.query(self.embed(asked)).unsqueeze(1) @ self.key(memory).transpose(1, 2) / 32**0.5
        weights = F.softmax(scores, dim=-1) if args.fixed else F.softmax(scores)
        return self.out((weights @ self.value(self.embed(values))).squeeze(1))


model = Lookup()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(120):
    keys = torch.stack([torch.randperm(60)[:24] for _ in range(48)])
    values = torch.randint(0, 60, (48, 24))
    place = torch.randint(0, 24, (48, 1))
    loss = F.cross_entropy(model(keys, values, keys.gather(1, place).squeeze(1)), values.gather(1, place).squeeze(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
