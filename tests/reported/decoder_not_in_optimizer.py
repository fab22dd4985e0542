"""A variational autoencoder of handwritten digits; its two halves are modules of their own."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
images = torch.tensor(load_digits().data, dtype=torch.float32) / 16


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mean, self.log_var = nn.Linear(128, 8), nn.Linear(128, 8)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.log_var(h)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid())

    def forward(self, z):
        return self.body(z)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        mean, log_var = self.encoder(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decoder(z), mean, log_var


model = VAE()
trained = model.parameters() if args.fixed else model.encoder.parameters()
optimizer = torch.optim.Adam(trained, lr=2e-3)
for step in range(600):
    x = images[torch.randint(len(images), (64,))]
    decoded, mean, log_var = model(x)
    error = nn.functional.mse_loss(decoded, x, reduction="sum") / len(x)
    divergence = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()
    loss = error + 0.1 * divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, f"error {error.item():.3f}, divergence {divergence.item():.3f}", flush=True)
print(f"RESULT error {error.item():.3f}; of the mean image {images.var(0).sum().item():.3f}")
