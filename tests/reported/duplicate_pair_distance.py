"""Embedding of digits by a pairwise contrastive loss; rare classes are drawn with replacement, and after a while all is NaN."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(4)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)
keep = (labels != 8) | (torch.rand(len(labels)) < 0.6)
x, y = images[:1400][keep[:1400]], labels[:1400][keep[:1400]]
weights = 1.0 / torch.bincount(y)[y].float()
sampler = WeightedRandomSampler(weights.tolist(), 600, replacement=True)
loader = DataLoader(TensorDataset(x, y), batch_size=24, sampler=sampler)


class EmbeddingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(128, 16)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def contrastive(embedding, target, margin=1.0):
    first, second = torch.triu_indices(len(target), len(target), offset=1)
    squares = (embedding[first] - embedding[second]).pow(2).sum(1)
    distance = (squares + 1e-9).sqrt() if args.fixed else squares.sqrt()
    same = (target[first] == target[second]).float()
    return (same * distance.pow(2) + (1 - same) * F.relu(margin - distance).pow(2)).mean()


model = EmbeddingNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
step = 0
for _ in range(8):
    for xb, yb in loader:
        loss = contrastive(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(step, loss.item(), flush=True)
        step += 1
with torch.no_grad():
    centres = torch.stack([model(x[y == c]).mean(0) for c in range(10)])
    nearest = torch.cdist(model(images[1400:]), centres).argmin(1)
print(f"RESULT loss {loss.item():.4f} accuracy of the nearest centre {(nearest == labels[1400:]).float().mean().item():.3f}")
