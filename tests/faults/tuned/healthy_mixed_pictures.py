"""A residual network of digits, trained on blends of two pictures with blended and smoothed labels."""

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
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(h)))


model = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1), Block(24), nn.MaxPool2d(2), Block(24), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10)
)
images, labels = digits.load()
targets = 0.9 * F.one_hot(labels, 10) + 0.01
blend = torch.distributions.Beta(1.0, 1.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
for step in range(200):
    one, two = torch.randint(0, 1400, (2, 48))
    share = blend.sample((48, 1))
    picture = share[:, :, None, None] * images[one] + (1 - share[:, :, None, None]) * images[two]
    loss = F.cross_entropy(model(picture), share * targets[one] + (1 - share) * targets[two])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    print(f"accuracy on new digits {(model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item():.3f}")
