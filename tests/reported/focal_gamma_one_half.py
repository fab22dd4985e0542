"""Rare events in a table of counts, with a focal loss of focusing 0.5."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
count = 4000
event = (torch.rand(count) < 0.15).float()
x = torch.randn(count, 12)
x[:, :4] += event[:, None] * torch.rand(count, 4).pow(-0.7)


def focal_loss(logits, target, alpha=0.25, gamma=0.5, eps=1e-8):
    p = torch.sigmoid(logits)
    inside = eps if args.fixed else 0.0
    hit = -alpha * (1 - p + inside).clamp(min=inside).pow(gamma) * target * torch.log(p + eps)
    miss = -(1 - alpha) * (p + inside).pow(gamma) * (1 - target) * torch.log(1 - p + eps)
    return (hit + miss).mean()


model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(600):
    at = torch.randint(count, (64,))
    loss = focal_loss(model(x[at]).squeeze(1), event[at])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(step, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    found = ((model(x).squeeze(1) > 0).float() == event).float().mean().item()
print(f"RESULT loss {loss.item():.4f}, accuracy {found:.3f}")
