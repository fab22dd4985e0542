"""Train a small diffusion model to predict the noise in digits."""

import argparse
import math

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

T = 100
signal = torch.cos(torch.linspace(0.02, math.pi / 2 - 0.02, T)).to(device)
noise_level = torch.sqrt(1 - signal**2)


class Denoiser(nn.Module):
    def __init__(self, width: int = 24):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(4, 2 * width)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.leave = nn.Conv2d(2 * width, 1, 3, padding=1)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, -4, 8)))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        angle = t[:, None] * self.frequencies
        when = self.time(torch.cat([angle.sin(), angle.cos()], dim=1))
        first = F.silu(self.enter(x) + when[:, :, None, None])
        low = F.silu(self.norm(self.down(first)))
        low = low + F.silu(self.middle(low))
        return self.leave(torch.cat([first, F.silu(self.up(low))], dim=1))


images, _ = digits.load()
loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True)
model = Denoiser().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 if args.fixed else 2e-6)

for epoch in range(4):
    total = 0.0
    for (x,) in loader:
        x = x.to(device)
        t = torch.randint(T, (len(x),), device=device)
        noise = torch.randn_like(x)
        noisy = signal[t, None, None, None] * x + noise_level[t, None, None, None] * noise
        loss = F.mse_loss(model(noisy, t.float()), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")
