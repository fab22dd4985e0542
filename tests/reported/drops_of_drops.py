"""A policy is cloned with a schedule of drops; the drop takes the power of the final rate, not of its ratio to the first one."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
RATE, FINAL, WARMUP, DROP = 2e-3, 1e-3, 30, 150
teacher = nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Linear(48, 7))
for p in teacher.parameters():
    p.data.mul_(3.0)
policy = nn.Sequential(nn.Linear(12, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 7))
optimizer = torch.optim.AdamW(policy.parameters(), lr=RATE)


def factor(step):
    if step < WARMUP:
        return (step + 1) / WARMUP
    drops = step // DROP
    return (FINAL / RATE) ** drops if args.fixed else FINAL**drops


scheduler = LambdaLR(optimizer, factor)
for step in range(700):
    seen = torch.randn(64, 12)
    with torch.no_grad():
        wanted = teacher(seen)
    loss = F.smooth_l1_loss(policy(seen), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 100 == 99:
        print(step, f"loss {loss.item():.4f} rate {scheduler.get_last_lr()[0]:.2e}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
