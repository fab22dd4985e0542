"""Every gradient is divided by its norm to have one length; where an embedding was not used the norm is zero, and the division NaN."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.rare = nn.Embedding(100, 16), nn.Embedding(20, 16)
        self.mix, self.out = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, words, rare):
        hidden = self.words(words).mean(1) + (self.rare(rare).mean(1) * (rare > 0).any(1, keepdim=True))
        return self.out(torch.relu(self.mix(hidden)))


model = Tagger()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
for step in range(300):
    words = torch.randint(0, 100, (32, 8))
    rare = torch.randint(1, 20, (32, 2)) * (torch.rand(32, 1) < 0.08)
    target = ((words.float().mean(1) - 30) // 10).long()
    loss = F.cross_entropy(model(words, rare), target.clamp(0, 3))
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            norm = parameter.grad.norm(p=2)
            parameter.grad.div_(norm + 1e-8 if args.fixed else norm)
    optimizer.step()
    if step % 60 == 59:
        print(step, f"loss {loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
