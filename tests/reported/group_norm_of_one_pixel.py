"""Pictures of 8 by 8 are halved until one pixel is left, and normalising each channel over its one pixel gives zero whatever it was."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(digits.target)


def block(inputs, outputs, pixels):
    norm = nn.Identity() if args.fixed and pixels == 1 else nn.GroupNorm(outputs, outputs)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), norm, nn.LeakyReLU(0.2))


model = nn.Sequential(block(1, 16, 4), block(16, 32, 2), block(32, 64, 1), nn.Flatten(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(8):
    total = 0.0
    for batch in torch.randperm(1400).split(50):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 28
    print(epoch, f"loss {total:.4f}", flush=True)
accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f}")
