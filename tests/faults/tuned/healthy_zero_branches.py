"""A residual network without normalisation whose branches start at zero and whose head starts at zero."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * self.conv2(F.relu(self.conv1(F.relu(x))))


images, labels = digits.load()
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
head = nn.Linear(48, 10)
nn.init.zeros_(head.weight)
nn.init.zeros_(head.bias)
blocks = [Block(12) for _ in range(6)]
model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), head).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for epoch in range(4):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
