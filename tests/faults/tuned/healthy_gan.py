"""A convolutional GAN on digits: the losses play against each other."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, _ = digits.load()
images = torch.tanh(images / 2)
loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True)
generator = nn.Sequential(
    nn.Linear(24, 32 * 4),
    nn.Unflatten(1, (32, 2, 2)),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
    nn.Tanh(),
).to(device)
discriminator = nn.Sequential(
    nn.Conv2d(1, 16, 4, stride=2, padding=1),
    nn.LeakyReLU(0.2),
    nn.Conv2d(16, 32, 4, stride=2, padding=1),
    nn.BatchNorm2d(32),
    nn.LeakyReLU(0.2),
    nn.Flatten(),
    nn.Linear(128, 1),
).to(device)
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-4, betas=(0.5, 0.999))
for epoch in range(4):
    for (real,) in loader:
        fake = generator(torch.randn(len(real), 24, device=device))
        d_real, d_fake = discriminator(real.to(device)), discriminator(fake.detach())
        d_loss = F.binary_cross_entropy_with_logits(d_real, torch.ones_like(d_real))
        d_loss = d_loss + F.binary_cross_entropy_with_logits(d_fake, torch.zeros_like(d_fake))
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        g_logits = discriminator(fake)
        g_loss = F.binary_cross_entropy_with_logits(g_logits, torch.ones_like(g_logits))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
    print(f"epoch {epoch}: discriminator {d_loss.item():.3f} generator {g_loss.item():.3f}")
