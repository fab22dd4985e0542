"""A variational autoencoder of black and white digits under a Bernoulli likelihood."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
images = (torch.tensor(load_digits().data, dtype=torch.float32) > 7).float()


class VAE(nn.Module):
    def __init__(self, hidden=128, latent=8):
        super().__init__()
        self.encode1, self.encode2 = nn.Linear(64, hidden), nn.Linear(hidden, hidden)
        self.mean, self.log_sigma = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decode1, self.decode2 = nn.Linear(latent, hidden), nn.Linear(hidden, 64)
        self.last = nn.Sigmoid() if args.fixed else nn.Tanh()

    def forward(self, x):
        h = torch.relu(self.encode2(torch.relu(self.encode1(x))))
        mean, log_sigma = self.mean(h), self.log_sigma(h)
        z = mean + torch.randn_like(mean) * log_sigma.exp()
        return self.last(self.decode2(torch.relu(self.decode1(z)))), mean, log_sigma


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(400):
    x = images[torch.randint(len(images), (64,))]
    y, mean, log_sigma = model(x)
    likelihood = (x * torch.log(1e-10 + y) + (1 - x) * torch.log(1e-10 + 1 - y)).sum(1)
    divergence = -0.5 * (1 + 2 * log_sigma - mean**2 - (2 * log_sigma).exp()).sum(1)
    loss = (divergence - likelihood).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, f"loss {loss.item():.3f}", flush=True)
print(f"RESULT loss {loss.item():.3f}")
