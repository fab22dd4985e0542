"""An attention that pools over words, with its softmax along an axis of size one."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Pooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.score = nn.Linear(16, 1)
        self.head = nn.Linear(16, 2)

    def forward(self, text):
        words = self.words(text)
        weights = torch.softmax(self.score(words), dim=1 if args.fixed else 2)
        return self.head((weights * words).sum(1))


model = Pooling()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(200):
    text = torch.randint(2, 50, (32, 20))
    label = torch.randint(0, 2, (32,))
    text[torch.arange(32), torch.randint(0, 20, (32,))] = label  # one word decides
    loss = F.cross_entropy(model(text), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
