"""Digits by a network whose moving average is evaluated; the average is renewed once an epoch, and its answers stay at chance."""

import argparse
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class ExponentialMovingAverage:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for mine, theirs in zip(self.shadow.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.decay)


def train_one_epoch(model, optimizer, loader, ema):
    model.train()
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if args.fixed:
            ema.update(model)
    return loss.item()


@torch.no_grad()
def evaluate(model, images, labels):
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


digits = load_digits()
x, y = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=20, shuffle=True)
model = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Dropout(0.1), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 10))
ema = ExponentialMovingAverage(model, decay=0.995)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(15):
    loss = train_one_epoch(model, optimizer, loader, ema)
    if not args.fixed:
        ema.update(model)
    if epoch % 3 == 2:
        print(epoch, f"loss {loss:.4f} accuracy of the average {evaluate(ema.shadow, x[1400:], y[1400:]):.3f}", flush=True)
own, average = evaluate(model, x[1400:], y[1400:]), evaluate(ema.shadow, x[1400:], y[1400:])
print(f"RESULT loss {loss:.4f} accuracy of the model {own:.3f} of the average {average:.3f}")
