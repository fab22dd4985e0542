"""A reader of short texts that drops nearly all of every word."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.drop = nn.Embedding(60, 24), nn.Dropout(0.2 if args.fixed else 0.95)
        self.hidden, self.head = nn.Linear(24, 32), nn.Linear(32, 3)

    def forward(self, text):
        return self.head(torch.tanh(self.hidden(self.drop(self.words(text)).mean(1))))


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
topics = torch.softmax(2 * torch.randn(3, 60), 1)
for step in range(200):
    label = torch.randint(0, 3, (48,))
    text = torch.multinomial(topics[label], 16, replacement=True)
    loss = F.cross_entropy(model(text), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
