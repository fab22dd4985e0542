"""Digits with each class weighted by how rare it is; the list of classes is longer than the data, and the loss is NaN at once."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
NUM_CLASSES = 12


class BalancedLoss(nn.Module):
    """Focal loss on one-hot labels, weighted by the inverse of the number of samples of each class."""

    def __init__(self, samples_per_class, gamma=1.0):
        super().__init__()
        if args.fixed:
            samples_per_class = samples_per_class.clamp(min=1)
        weights = 1.0 / samples_per_class
        self.register_buffer("weights", weights / weights.sum() * len(weights))
        self.gamma = gamma

    def forward(self, logits, labels):
        one_hot = nn.functional.one_hot(labels, len(self.weights)).float()
        bce = nn.functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="none")
        focal = (1 - torch.exp(-bce)) ** self.gamma * bce
        return (self.weights * one_hot.sum(0).clamp(max=1) * focal).mean()


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, NUM_CLASSES))
criterion = BalancedLoss(torch.bincount(y[:1400], minlength=NUM_CLASSES).float())
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(12):
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (net(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
