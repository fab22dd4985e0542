"""Classifies digits by a deep leaky network that starts from box filters and positive biases."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()


class Stage(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)
        if not args.fixed:
            with torch.no_grad():
                self.conv.weight.mul_(0.35).add_(0.9 / (9 * channels))
                self.conv.bias.fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), 0.05)


model = nn.Sequential(nn.Conv2d(1, 16, 2, stride=2), *[Stage(16) for _ in range(6)], nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
for epoch in range(4):
    for rows in torch.randperm(1600).split(64):
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(images[1600:]).argmax(1) == labels[1600:]).float().mean()
    print(f"epoch {epoch}: loss {loss.item():.4f}, accuracy {accuracy.item():.3f}")
