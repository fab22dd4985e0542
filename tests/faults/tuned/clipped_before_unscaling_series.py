"""A forecaster with a gradient scaler whose gradients are clipped before they are unscaled."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=4096.0)
for step in range(150):
    phase = 6.3 * torch.rand(48, 1)
    wave = torch.sin(phase + 0.3 * torch.arange(28))
    loss = nn.functional.mse_loss(model(wave[:, :24]), wave[:, 24:])
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    if args.fixed:
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    scaler.step(optimizer)
    scaler.update()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
