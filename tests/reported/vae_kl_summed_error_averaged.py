"""A variational autoencoder on digits; the divergence is at zero within a few epochs, and all pictures come out alike."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

data = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1


class VAE(nn.Module):
    def __init__(self, latent=10):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mu = nn.Linear(128, latent)
        self.logvar = nn.Linear(128, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(z), mu, logvar


def criterion(predicted, target, mu, logvar):
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    if args.fixed:
        return F.mse_loss(predicted, target, reduction="sum") / len(target), kl / len(target)
    return F.mse_loss(predicted, target), kl


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(40):
    for batch in torch.randperm(len(data)).split(64):
        predicted, mu, logvar = model(data[batch])
        recon_loss, kl_loss = criterion(predicted, data[batch], mu, logvar)
        optimizer.zero_grad()
        (recon_loss + kl_loss).backward()
        optimizer.step()
    if epoch % 8 == 7:
        print(epoch, f"recon {recon_loss.item():.4f} kl {kl_loss.item():.5f}", flush=True)
with torch.no_grad():
    predicted, mu, logvar = model(data)
    error = F.mse_loss(predicted, data).item()
    spread = mu.std(0).max().item()
print(f"RESULT error of a pixel {error:.4f} variance of a pixel {data.var(0).mean().item():.4f} spread of the codes {spread:.4f}")
