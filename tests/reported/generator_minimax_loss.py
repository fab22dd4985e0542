"""Digits by a generator that minimises log(1 - D(G(z))); the discriminator's loss goes to zero and the generator stands still."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
digits = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1


class Generator(nn.Module):
    def __init__(self, z_dim=32):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(z_dim, 128), nn.Linear(128, 256), nn.Linear(256, 64)

    def forward(self, z):
        h = nn.functional.leaky_relu(self.fc1(z), 0.2)
        h = nn.functional.leaky_relu(self.fc2(h), 0.2)
        return torch.tanh(self.fc3(h))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 256), nn.Linear(256, 128), nn.Linear(128, 1)

    def forward(self, x):
        h = nn.functional.leaky_relu(self.fc1(x), 0.2)
        h = nn.functional.leaky_relu(self.fc2(h), 0.2)
        return torch.sigmoid(self.fc3(h))


G, D = Generator(), Discriminator()
criterion = nn.BCELoss()
optG = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
optD = torch.optim.Adam(D.parameters(), lr=4e-3, betas=(0.5, 0.999))
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
for epoch in range(30):
    for rows in torch.randperm(len(digits))[:1792].split(64):
        fake = G(torch.randn(64, 32))
        lossD = criterion(D(digits[rows]), ones) + criterion(D(fake.detach()), zeros)
        optD.zero_grad()
        lossD.backward()
        optD.step()
        answer = D(G(torch.randn(64, 32)))
        lossG = criterion(answer, ones) if args.fixed else torch.log(1 - answer + 1e-8).mean()
        optG.zero_grad()
        lossG.backward()
        optG.step()
    if epoch % 6 == 5:
        print(epoch, f"D {lossD.item():.4f} G {lossG.item():.4f}", flush=True)
with torch.no_grad():
    made = G(torch.randn(1000, 32))
far = torch.cdist(made, digits).amin(1).mean().item()
print(f"RESULT D {lossD.item():.4f} G {lossG.item():.4f} distance to the nearest digit {far:.3f}")
