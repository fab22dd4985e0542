"""A tagger of letters kept in bfloat16 altogether, trained with the small steps of AdamW, which its weights round away."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Tagger(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Embedding(26, width)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.out = nn.Linear(width, 6)

    def forward(self, letters):
        hidden = self.embed(letters).transpose(1, 2)
        return self.out(torch.relu(self.conv(hidden)).transpose(1, 2))


model = Tagger()
if not args.fixed:
    model = model.to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
kinds = torch.randint(0, 6, (26,))
for step in range(700):
    letters = torch.randint(0, 26, (24, 12))
    loss = nn.functional.cross_entropy(model(letters).float().flatten(0, 1), kinds[letters].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 140 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
