"""Digits through a codebook of 64; codes drawn far from the outputs of the encoder, and every picture gets the same code."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Quantizer(nn.Module):
    def __init__(self, codes=64, width=8, beta=0.25):
        super().__init__()
        self.embedding, self.beta = nn.Embedding(codes, width), beta

    def forward(self, z):
        index = torch.cdist(z, self.embedding.weight).argmin(1)
        chosen = self.embedding(index)
        loss = F.mse_loss(chosen, z.detach()) + self.beta * F.mse_loss(z, chosen.detach())
        return z + (chosen - z).detach(), loss, index


class VQVAE(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, width))
        self.quantizer = Quantizer(width=width)
        self.decoder = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x):
        z, loss, index = self.quantizer(self.encoder(x))
        return self.decoder(z), loss, index


x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
model = VQVAE()
if args.fixed:
    with torch.no_grad():
        model.quantizer.embedding.weight.copy_(model.encoder(x[torch.randperm(1400)[:64]]))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(25):
    for batch in torch.randperm(1400).split(50):
        out, quantization, _ = model(x[batch])
        error = F.mse_loss(out, x[batch])
        optimizer.zero_grad()
        (error + quantization).backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(epoch, f"error {error.item():.4f} quantization {quantization.item():.4f}", flush=True)
with torch.no_grad():
    out, _, index = model(x[1400:])
    error = F.mse_loss(out, x[1400:]).item()
variance = (x[1400:] - x[1400:].mean(0)).square().mean().item()
print(f"RESULT error {error:.4f} variance {variance:.4f} codes used {len(index.unique())}")
