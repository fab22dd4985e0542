"""A residual network of depth 12 in which every block is skipped at random while it trains."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Block(nn.Module):
    def __init__(self, width: int, stay: float):
        super().__init__()
        self.stay = stay
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(width)
        nn.init.constant_(self.norm2.weight, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.rand(()).item() > self.stay:
            return x
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(x + (1.0 if self.training else self.stay) * y)


class Skipping(nn.Module):
    def __init__(self, width: int = 12, depth: int = 12):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, stride=2)
        self.blocks = nn.ModuleList(Block(width, 1 - 0.5 * i / depth) for i in range(depth))
        self.digit = nn.Linear(16 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.digit(x.flatten(1))


images, labels = digits.load()
model = Skipping()
optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, nesterov=True)
for epoch in range(6):
    for rows in torch.randperm(1500).split(60):
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(images[1500:]).argmax(1) == labels[1500:]).float().mean().item()
    model.train()
    print(f"epoch {epoch}: loss {loss.item():.4f}, right {right:.2f}")
