"""An autoencoder of ratings from 1 to 5 has its activation, a sigmoid, behind the last layer too: no answer is above one."""

import argparse
from itertools import pairwise

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
taste, film = torch.randn(800, 5), torch.randn(60, 5)
ratings = (3 + taste @ film.T * 0.5).round().clamp(1, 5)
seen = torch.rand(800, 60) < 0.4


class Recommender(nn.Module):
    def __init__(self, sizes=(60, 48, 24)):
        super().__init__()
        pairs = list(pairwise(sizes))
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.decoder = nn.ModuleList(nn.Linear(b, a) for a, b in reversed(pairs))

    def forward(self, x):
        for layer in self.encoder:
            x = torch.sigmoid(layer(x))
        last = len(self.decoder) - 1
        for place, layer in enumerate(self.decoder):
            x = layer(x)
            if not (args.fixed and place == last):
                x = torch.sigmoid(x)
        return x


model = Recommender()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(20):
    total = 0.0
    for batch in torch.randperm(700).split(50):
        known = ratings[batch] * seen[batch]
        error = (model(known) - ratings[batch]).square()
        loss = error[seen[batch]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 14
    if epoch % 4 == 3:
        print(epoch, f"loss {total:.4f}", flush=True)
with torch.no_grad():
    left = (model(ratings[700:] * seen[700:]) - ratings[700:]).square()[~seen[700:]].mean().item()
print(f"RESULT loss {total:.4f} unseen {left:.4f}")
