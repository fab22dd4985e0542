"""Doubles the resolution of striped textures with a small sub-pixel network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def textures(n: int, side: int = 16) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.zeros(n, side, side)
    for _ in range(3):
        angle, frequency, phase = torch.rand(n, 1, 1) * 3.14, 0.4 + 0.9 * torch.rand(n, 1, 1), torch.rand(n, 1, 1) * 6.28
        picture += torch.sin(frequency * (rows * angle.sin() + columns * angle.cos()) + phase)
    return picture.unsqueeze(1) / 1.5**0.5


class SubPixel(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, width, 5, padding=2)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 4, 3, padding=1)
        self.act = nn.PReLU(width)

    def forward(self, small: Tensor) -> Tensor:
        h = self.act(self.head(small))
        h = h + torch.relu(self.body(h))
        return F.pixel_shuffle(self.tail(h), 2)


model = SubPixel()
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001 if args.fixed else 0.04, alpha=0.95)
for step in range(200):
    large = textures(24)
    loss = F.mse_loss(model(large[:, :, ::2, ::2]), large)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: squared error {loss.item():.4f}")
