"""The segments of clouds of points: nll_loss is given plain outputs instead of log-probabilities, and falls below zero without end."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.local = nn.Sequential(nn.Conv1d(3, 32, 1), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.ReLU())
        self.head = nn.Sequential(nn.Conv1d(128, 64, 1), nn.ReLU(), nn.Conv1d(64, 3, 1))

    def forward(self, points):
        local = self.local(points)
        whole = local.amax(2, keepdim=True).expand(-1, -1, points.shape[2])
        out = self.head(torch.cat([local, whole], 1))
        return F.log_softmax(out, dim=1) if args.fixed else out


def clouds(count):
    part = torch.randint(0, 3, (count, 96))
    points = torch.randn(count, 3, 96) * 0.3
    points[:, 2] += part - 1.0
    return points, part


model = PointNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(250):
    points, part = clouds(16)
    out = model(points)
    loss = F.nll_loss(out, part)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, f"loss {loss.item():.4f} right {(out.argmax(1) == part).float().mean().item():.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} right {(out.argmax(1) == part).float().mean().item():.3f}")
