"""Rotation between two point clouds in the plane; the loss is the angle by arccos, and becomes NaN once the network is good."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def rotation_from(vector):
    cos, sin = F.normalize(vector, dim=1).unbind(1)
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def clouds(size):
    cloud = torch.randn(size, 12, 2)
    rotation = rotation_from(torch.tensor([1.0, 0.0]) + 0.4 * torch.randn(size, 2))
    return torch.cat([cloud, cloud @ rotation.transpose(1, 2)], dim=2), rotation


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp1 = nn.Conv1d(4, 64, 1)
        self.mlp2 = nn.Conv1d(64, 64, 1)
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 2)

    def forward(self, pairs):
        h = F.relu(self.mlp1(pairs.transpose(1, 2)))
        h = self.mlp2(h).mean(2)
        return rotation_from(self.fc2(F.relu(self.fc1(h))))


def geodesic(estimate, truth):
    cos = (estimate @ truth.transpose(1, 2)).diagonal(dim1=1, dim2=2).sum(1) / 2
    limit = 1 - 1e-6 if args.fixed else 1.0
    return torch.acos(cos.clamp(-limit, limit)).mean()


model = PoseNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(1000):
    pairs, truth = clouds(64)
    loss = geodesic(model(pairs), truth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, f"{loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
