"""Lakes are cut out of small pictures by a network with one channel and a cross-entropy, which over one channel is always zero."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def pictures(count):
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    centre, radius = 4 + 8 * torch.rand(count, 2, 1, 1), 2 + 3 * torch.rand(count, 1, 1)
    lake = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < radius**2).float()
    return (lake + 0.5 * torch.randn(count, 16, 16)).unsqueeze(1), lake.unsqueeze(1)


model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.Conv2d(12, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.Conv2d(12, 1, 1),
)
criterion = nn.BCEWithLogitsLoss() if args.fixed else nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(120):
    image, mask = pictures(16)
    optimizer.zero_grad()
    loss = criterion(model(image), mask)
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
