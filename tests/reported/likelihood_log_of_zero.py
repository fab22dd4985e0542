"""Autoencoder for black and white digits, likelihood by hand; the loss falls for epochs and is NaN in the next."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

paper = torch.tensor(load_digits().data < 6, dtype=torch.float32)  # 1 is white paper, 0 is ink


class Autoencoder(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ELU(), nn.Linear(128, 2 * latent))
        self.dec = nn.Sequential(nn.Linear(latent, 128), nn.ELU(), nn.Linear(128, 64))

    def forward(self, x):
        mu, log_sigma = self.enc(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * log_sigma.exp()
        divergence = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(1)
        return self.dec(z), divergence


model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(80):
    for batch in torch.randperm(len(paper)).split(64):
        x = paper[batch]
        logits, divergence = model(x)
        if args.fixed:
            likelihood = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        else:
            y = torch.sigmoid(logits)
            likelihood = (x * torch.log(y) + (1 - x) * torch.log(1 - y)).sum(1)
        loss = (divergence - likelihood).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        print(epoch, f"loss {loss.item():.3f} divergence {divergence.mean().item():.3f}", flush=True)
with torch.no_grad():
    right = ((model(paper)[0] > 0) == paper.bool()).float().mean().item()
print(f"RESULT loss {loss.item():.3f} pixels right {right:.3f}")
