"""A convolutional variational autoencoder of digits; the rate comes from a table with warm restarts."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
RESTART_RATE = 2e-3 if args.fixed else 8e-2
RATES = {0: 2e-3, 60: 1e-3, 116: RESTART_RATE, 117: 2e-3, 180: 5e-4}


class PictureCoder(nn.Module):
    def __init__(self, latent: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 24, 3, stride=2, padding=1)
        self.mean, self.log_variance = nn.Linear(24 * 16, latent), nn.Linear(24 * 16, latent)
        self.widen = nn.Linear(latent, 24 * 16)
        self.back = nn.ConvTranspose2d(24, 16, 4, stride=2, padding=1)
        self.out = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        h = F.elu(self.conv(picture)).flatten(1)
        mean, log_variance = self.mean(h), self.log_variance(h)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        h = F.elu(self.widen(code)).unflatten(1, (24, 4, 4))
        return self.out(F.elu(self.back(h))), divergence


images, _ = digits.load()
model = PictureCoder()
optimizer = torch.optim.Adam(model.parameters(), lr=RATES[0], betas=(0.9, 0.98))
for step in range(240):
    if step in RATES:
        optimizer.param_groups[0]["lr"] = RATES[step]
    picture = images[torch.randint(0, len(images), (80,))]
    restored, divergence = model(picture)
    loss = F.mse_loss(restored, picture, reduction="sum") / len(picture) + divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.3f}")
