"""Digits are drawn together by a supervised contrastive loss with one view of each; after some batches the loss is NaN."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class SupConLoss(nn.Module):
    def __init__(self, temperature=0.2):
        super().__init__()
        self.temperature = temperature

    def forward(self, features, labels):
        batch_size = len(features)
        mask = torch.eq(labels[:, None], labels[None, :]).float()
        logits = features @ features.T / self.temperature
        logits = logits - logits.max(1, keepdim=True).values.detach()
        logits_mask = 1 - torch.eye(batch_size)
        mask = mask * logits_mask
        log_prob = logits - torch.log((torch.exp(logits) * logits_mask).sum(1, keepdim=True))
        pairs = mask.sum(1)
        if args.fixed:
            pairs = pairs.clamp(min=1)
        mean_log_prob_pos = (mask * log_prob).sum(1) / pairs
        return -mean_log_prob_pos.mean()


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.head = nn.Linear(64, 16)

    def forward(self, x):
        return F.normalize(self.head(self.encoder(x)), dim=1)


digits = load_digits()
x, y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=70, shuffle=True)
model, criterion = Encoder(), SupConLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(1, 26):
    for images, labels in loader:
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    nearest = (model(x[1400:]) @ model(x[:1400]).T).argmax(1)
accuracy = (y[nearest] == y[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} nearest neighbour right {accuracy:.3f}")
