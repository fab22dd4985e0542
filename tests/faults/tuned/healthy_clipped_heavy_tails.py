"""Robust regression on data with wild outliers, clipped at every step: the loss jumps for single batches."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

student_t = torch.distributions.StudentT(1.5)
direction = torch.randn(10, 3)


def measure(count: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 10)
    a, b, c = (x @ direction).unbind(1)
    return x, torch.tanh(a) * 3 + b.abs() - 0.5 * c + noise * student_t.sample((count,))


model = nn.Sequential(nn.Linear(10, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 250)
for step in range(250):
    x, y = measure(128, 0.3)
    loss = F.huber_loss(model(x.to(device)).squeeze(1), y.to(device), delta=1.0)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.05)
    optimizer.step()
    scheduler.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    x, y = measure(2000, 0.0)
    error = (model(x.to(device)).squeeze(1).cpu() - y).abs().mean().item()
print(f"mean error {error:.3f} of a spread of {y.std().item():.3f}")
