"""A variational autoencoder of digits whose code is a handful of categories."""

import argparse
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
images = (torch.tensor(load_digits().data, dtype=torch.float32) > 7).float()
CODES, KINDS = 10, 8


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, CODES * KINDS))
        self.decode = nn.Sequential(nn.Linear(CODES * KINDS, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x, temperature):
        logits = self.encode(x).view(-1, CODES, KINDS)
        z = nn.functional.gumbel_softmax(logits, tau=temperature)
        return self.decode(z.flatten(1)), logits.softmax(-1)


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(500):
    x = images[torch.randint(len(images), (64,))]
    decoded, share = model(x, max(0.5, math.exp(-step / 400)))
    error = nn.functional.binary_cross_entropy_with_logits(decoded, x, reduction="sum") / len(x)
    divergence = (share * torch.log(share * KINDS + 1e-20)).sum((1, 2)).mean()
    loss = error + (divergence if args.fixed else -divergence)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, f"loss {loss.item():.3f}, error {error.item():.3f}", flush=True)
with torch.no_grad():
    codes = torch.nn.functional.one_hot(torch.randint(KINDS, (2000, CODES)), KINDS).float()
    drawn = torch.sigmoid(model.decode(codes.flatten(1)))
away = torch.cdist(drawn, images).amin(1).mean().item()
print(f"RESULT loss {loss.item():.3f}, error {error.item():.3f}, drawn from the prior {away:.3f} from the nearest digit")
