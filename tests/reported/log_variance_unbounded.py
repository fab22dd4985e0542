"""A variational autoencoder for a table of payments, a few of which are enormous; the loss is NaN before the first epoch is over."""

import argparse

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)
kind = rng.integers(0, 4, 4000)
centre = rng.normal(size=(4, 8))
table = centre[kind] + 0.3 * rng.normal(size=(4000, 8))
table[2731, 5], table[3555, 2] = 24000.0, -19000.0
table = torch.tensor(table, dtype=torch.float32)


class TableVAE(nn.Module):
    def __init__(self, n_features=8, n_latent=4, width=64):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mu = nn.Linear(width, n_latent)
        self.logvar = nn.Linear(width, n_latent)
        self.decoder = nn.Sequential(nn.Linear(n_latent, width), nn.ReLU(), nn.Linear(width, n_features))

    def reparameterize(self, mu, logvar):
        return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        if args.fixed:
            logvar = logvar.clamp(-30, 4)
        return self.decoder(self.reparameterize(mu, logvar)), mu, logvar


model = TableVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(20):
    for batch in torch.randperm(len(table)).split(200):
        rows = table[batch]
        recon, mu, logvar = model(rows)
        error = nn.functional.smooth_l1_loss(recon, rows, reduction="sum") / len(rows)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / len(rows)
        loss = error + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    if epoch % 4 == 3:
        print(epoch, f"error {error.item():.4f} kl {kl.item():.4f}", flush=True)
with torch.no_grad():
    recon, _, _ = model(table)
    median = (recon - table).abs().median().item()
print(f"RESULT error {error.item():.4f} kl {kl.item():.4f} median error of a cell {median:.4f}")
