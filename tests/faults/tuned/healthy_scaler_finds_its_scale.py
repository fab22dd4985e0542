"""Yield of a reaction in half precision: the scaler of the gradients starts far too high and skips steps until it fits."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

rule = torch.randn(12, 3)


def reactions(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 12)
    z = x @ rule / 12**0.5
    return x, torch.tanh(z[:, 0]) * z[:, 1] + 0.5 * z[:, 2]


model = nn.Sequential(nn.Linear(12, 96), nn.SiLU(), nn.LayerNorm(96), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler(device.type, init_scale=2.0**24, growth_interval=60)
for step in range(250):
    x, target = reactions(128)
    with torch.autocast(device.type, dtype=torch.float16):
        guess = model(x.to(device)).squeeze(1)
    loss = F.mse_loss(guess.float(), target.to(device))
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f} scale {scaler.get_scale():.0f}")
