"""A text classifier with a large embedding, most of whose rows are never looked up in a batch."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

WORDS, LENGTH = 20_000, 12


class Classifier(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.hidden = nn.Linear(width, 64)
        self.out = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(self.embed(x).mean(dim=1))))


model = Classifier().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(150):
    # Words come as in a language: a few often, most hardly ever.
    x = (WORDS ** torch.rand(64, LENGTH)).long().clamp(max=WORDS - 1)
    y = (x < 20).float().mean(dim=1).gt(0.3).long()
    loss = F.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
