"""Two crops of one digit brought together and crops of different digits kept apart, by one normalised tower."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Apart(nn.Module):
    def forward(self, left: Tensor, right: Tensor, same: Tensor) -> Tensor:
        distance = (left - right).square().sum(1).add(1e-6).sqrt()
        return torch.where(same, distance.square(), F.relu(2.0 - distance).square()).mean()


def crop(pictures: Tensor) -> Tensor:
    top, side = torch.randint(2, (2,)).tolist()
    return pictures[:, :, top : top + 7, side : side + 7]


images, labels = digits.load()
tower = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(400, 48, bias=False),
    nn.BatchNorm1d(48),
    nn.ReLU(),
    nn.Linear(48, 12),
)
criterion = Apart()
optimizer = torch.optim.AdamW(tower.parameters(), lr=2e-3)
for step in range(160):
    rows = torch.randint(len(images), (64,))
    other = torch.where(torch.rand(64) < 0.5, rows, torch.randint(len(images), (64,)))
    loss = criterion(tower(crop(images[rows])), tower(crop(images[other])), rows == other)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        tower.eval()
        with torch.no_grad():
            near = torch.cdist(tower(images[:300, :, :7, :7]), tower(images[300:, :, :7, :7])).argmin(1)
        tower.train()
        right = (labels[300:][near] == labels[:300]).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f}, neighbour of the same kind {right:.3f}")
