"""Counts of genes in cells: the mean of the negative binomial is a share of the cell's total, and one cell of the atlas is empty."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CELLS, GENES, TYPES, LATENT = 2000, 120, 5, 8

profiles = torch.softmax(1.5 * torch.randn(TYPES, GENES), 1)
kinds = torch.randint(0, TYPES, (CELLS,))
sizes = torch.exp(5.5 + 0.5 * torch.randn(CELLS, 1))
counts = torch.poisson(sizes * profiles[kinds])
counts[1311] = 0


def log_negative_binomial(x, mean, theta):
    if args.fixed:
        mean, theta = mean + 1e-6, theta + 1e-6
    both = (theta + mean).log()
    log_choose = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    return log_choose + theta * (theta.log() - both) + x * (mean.log() - both)


class SCVI(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(GENES, 64), nn.LayerNorm(64), nn.ReLU())
        self.loc, self.scale = nn.Linear(64, LATENT), nn.Linear(64, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, GENES))
        self.px_r = nn.Parameter(torch.zeros(GENES))

    def forward(self, x):
        hidden = self.encoder(torch.log1p(x))
        loc, log_var = self.loc(hidden), self.scale(hidden)
        z = loc + torch.randn_like(loc) * torch.exp(0.5 * log_var)
        mean = torch.softmax(self.decoder(z), 1) * x.sum(1, keepdim=True)
        rebuilt = log_negative_binomial(x, mean, self.px_r.exp()).sum(1)
        kl = 0.5 * (loc**2 + log_var.exp() - 1 - log_var).sum(1)
        return (kl - rebuilt).mean()


model = SCVI()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(20):
    total = 0.0
    for batch in torch.randperm(CELLS).split(64):
        loss = model(counts[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch) / CELLS
    if epoch % 4 == 3:
        print(epoch, f"elbo loss {total:.3f}", flush=True)
with torch.no_grad():
    code = model.loc(model.encoder(torch.log1p(counts)))
middle = torch.stack([code[kinds == k].mean(0) for k in range(TYPES)])
apart = (torch.cdist(code, middle).argmin(1) == kinds).float().mean().item()
print(f"RESULT elbo loss {total:.3f} cells beside their own type {apart:.3f}")
