"""Embeddings of digits by the hardest triplets of each batch; the loss comes to rest at the margin, exactly."""

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
features = torch.tensor(digits.data, dtype=torch.float32)
labels = torch.tensor(digits.target)
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 32))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-4 if args.fixed else 3e-2)
margin = 0.5


def batch_hard_triplet_loss(embeddings, labels):
    distances = (embeddings.unsqueeze(0) - embeddings.unsqueeze(1)).pow(2).sum(2)
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    hardest_positive = distances.masked_fill(~same, 0).max(1).values
    hardest_negative = distances.masked_fill(same, float("inf")).min(1).values
    return F.relu(hardest_positive - hardest_negative + margin).mean(), distances


for step in range(800):
    batch = torch.randint(0, 1400, (64,))
    loss, distances = batch_hard_triplet_loss(net(features[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 160 == 159:
        print(step, f"loss {loss.item():.4f} mean distance {distances.mean().item():.3g}", flush=True)
with torch.no_grad():
    known, asked = net(features[:1400]), net(features[1400:])
    nearest = torch.cdist(asked, known).argmin(1)
accuracy = (labels[:1400][nearest] == labels[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} mean distance {distances.mean().item():.3g} nearest neighbour right {accuracy:.3f}")
