"""A schedule for domain adaptation: the lambda gives the rate itself, and the scheduler multiplies it by the rate once more."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
RATE, GAMMA, DECAY = 0.01, 0.001, 0.75
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(digits.target)
features = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
)
classifier = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
model = nn.Sequential(features, classifier)
optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, nesterov=True)


def decay(step):
    factor = (1.0 + GAMMA * step) ** -DECAY
    return factor if args.fixed else RATE * factor


scheduler = LambdaLR(optimizer, decay)
for epoch in range(8):
    for batch in torch.randperm(1400).split(32):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f} rate {scheduler.get_last_lr()[0]:.2e}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
