"""A judge of edited pictures has each value of its gradient clipped to 1e-4, as in a recipe for another network, and hardly learns."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 1)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(400):
    real = images[torch.randint(0, len(images), (32,))]
    edited = real[torch.randperm(32)].clone()
    edited[:, :, 2:6, 2:6] = edited[:, :, 2:6, 2:6].flip(2)
    score = model(torch.cat([real, edited]))[:, 0]
    loss = F.binary_cross_entropy_with_logits(score, torch.cat([torch.ones(32), torch.zeros(32)]))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), 1.0 if args.fixed else 1e-4)
    optimizer.step()
    if step % 80 == 79:
        print(step, f"loss {loss.item():.4f} right {((score > 0) == (torch.arange(64) < 32)).float().mean().item():.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} right {((score > 0) == (torch.arange(64) < 32)).float().mean().item():.3f}")
