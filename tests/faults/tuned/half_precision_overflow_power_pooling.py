"""Photographs of places are embedded by a convolutional network with generalised mean pooling."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


PLACES = 8
views = torch.randn(PLACES, 3, 4, 4)


def photographs(n: int) -> tuple[Tensor, Tensor]:
    place = torch.randint(PLACES, (n,))
    picture = F.interpolate(views[place], size=(16, 16), mode="bilinear", align_corners=False)
    return picture + 0.5 * torch.randn(n, 3, 16, 16), place


class PowerPool(nn.Module):
    """The mean of the p-th powers over all positions, then the p-th root."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if args.fixed else x.half()
        return x.clamp(min=1e-2).pow(self.p).mean((2, 3)).pow(1 / self.p).float()


class Places(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, padding=1)
        self.norm1 = nn.GroupNorm(6, 24)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1, stride=2)
        self.norm2 = nn.GroupNorm(6, 48)
        self.pool = PowerPool(10.0)
        self.place = nn.Linear(48, PLACES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.place(self.pool(x))


model = Places()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(80):
    x, place = photographs(32)
    scores = model(x)
    loss = F.cross_entropy(scores, place)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        right = (scores.argmax(1) == place).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
