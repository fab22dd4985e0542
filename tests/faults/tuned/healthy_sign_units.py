"""Digits by a network whose hidden units are signs, trained straight through."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        soft = F.hardtanh(x)
        return soft + (torch.where(x >= 0, 1.0, -1.0) - soft).detach()


images, labels = digits.load()
train, test = slice(0, 1500), slice(1500, None)
model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(64, 256),
    nn.BatchNorm1d(256),
    Sign(),
    nn.Linear(256, 256),
    nn.BatchNorm1d(256),
    Sign(),
    nn.Linear(256, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    model.train()
    for rows in torch.randperm(1500).split(50):
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    accuracy = (model(images[test]).argmax(dim=1) == labels[test]).float().mean()
    print(f"epoch {epoch}: accuracy {accuracy:.3f} loss {loss.item():.4g}")
