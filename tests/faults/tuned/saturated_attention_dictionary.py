"""A dictionary is read by attention written by hand, whose scores are not divided by the root of the width."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
ENTRIES, WORDS, MEANINGS, WIDTH = 10, 20, 6, 256


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.meanings = nn.Embedding(WORDS, WIDTH), nn.Embedding(MEANINGS, WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, MEANINGS)

    def forward(self, words, meanings, asked):
        entries = self.words(words) + self.meanings(meanings)
        scores = torch.einsum("nqd,nkd->nqk", self.query(self.words(asked))[:, None], self.key(entries))
        scores = scores if not args.fixed else scores / WIDTH**0.5
        return self.head((torch.softmax(scores, dim=-1) @ self.value(entries))[:, 0])


model = Dictionary()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(250):
    words = torch.rand(48, WORDS).argsort(1)[:, :ENTRIES]
    meanings, place = torch.randint(0, MEANINGS, (48, ENTRIES)), torch.randint(0, ENTRIES, (48,))
    rows = torch.arange(48)
    loss = F.cross_entropy(model(words, meanings, words[rows, place]), meanings[rows, place])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
