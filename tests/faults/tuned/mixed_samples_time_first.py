"""A recurrent layer wants (time, batch, features): the features of each step are viewed so, where they should be transposed."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.recurrent = nn.GRU(16, 32)
        self.head = nn.Linear(32, 2)

    def forward(self, words):
        embedded = self.embed(words)
        samples, steps, width = embedded.shape
        time_first = embedded.transpose(0, 1) if args.fixed else embedded.view(steps, samples, width)
        states, _ = self.recurrent(time_first)
        return self.head(states[-1])


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(250):
    words = torch.randint(0, 20, (48, 12))
    labels = (words >= 10).sum(1).gt(6).long()
    loss = F.cross_entropy(model(words), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
