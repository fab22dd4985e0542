"""An adversarial network on a tilted cloud of points; the optimizer of the discriminator is never told to clear its gradients."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(x)


def cloud(count):
    return torch.randn(count, 2) @ torch.tensor([[0.8, 0.3], [0.0, 0.4]]) + torch.tensor([2.0, -1.0])


generator, discriminator = Generator(), Discriminator()
optimizer_G = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.9))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=5e-4, betas=(0.5, 0.9))
for step in range(1200):
    real, fake = cloud(128), generator(torch.randn(128, 4))
    if args.fixed:
        optimizer_D.zero_grad()
    d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
    d_loss.backward()
    optimizer_D.step()

    optimizer_G.zero_grad()
    g_loss = F.softplus(-discriminator(fake)).mean()
    g_loss.backward()
    optimizer_G.step()
    if step % 200 == 199:
        print(step, f"D {d_loss.item():.4f} G {g_loss.item():.4f}", flush=True)
with torch.no_grad():
    sample, real = generator(torch.randn(4000, 4)), cloud(4000)
away = (sample.mean(0) - real.mean(0)).norm().item()
spread = (sample.std(0) / real.std(0)).tolist()
print(f"RESULT D {d_loss.item():.4f} G {g_loss.item():.4f} means apart {away:.3f} spread {spread[0]:.2f} {spread[1]:.2f}")
