"""The cosine schedule is given the length of the warm-up instead of that of the run: the rate goes up and down twenty times."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
x = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
STEPS, WARMUP = 800, 40


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(65, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 64))

    def forward(self, noisy, level):
        return self.body(torch.cat([noisy, level], 1))


model = Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS if args.fixed else WARMUP)
for step in range(STEPS):
    clean = x[torch.randint(0, len(x), (64,))]
    level = torch.rand(64, 1)
    noise = torch.randn_like(clean)
    loss = F.mse_loss(model((1 - level) * clean + level * noise, level), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 160 == 159:
        print(step, f"loss {loss.item():.4f} rate {schedule.get_last_lr()[0]:.2e}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
