"""Shapes seen by two cameras: features that name the shape and, by a reversed gradient, do not tell the camera."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
CENTRES = 2.0 * torch.randn(5, 16)


def sight(count: int) -> tuple[Tensor, Tensor, Tensor]:
    shape = torch.randint(0, 5, (count,))
    camera = torch.randint(0, 2, (count,))
    x = CENTRES[shape] + torch.randn(count, 16)
    x[:, :3] += 1.5 * (2 * camera[:, None] - 1)
    return x / 2, shape, camera


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


class TwoCameras(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(16, 64), nn.LeakyReLU(), nn.Linear(64, 32), nn.LeakyReLU())
        self.shape = nn.Linear(32, 5)
        self.camera = nn.Sequential(nn.Linear(32, 32), nn.LeakyReLU(), nn.Linear(32, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.shape(h), self.camera(Reverse.apply(h))


model = TwoCameras()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    x, shape, camera = sight(128)
    named, told = model(x)
    shape_loss, camera_loss = F.cross_entropy(named, shape), F.cross_entropy(told, camera)
    loss = shape_loss + camera_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        right = (named.argmax(1) == shape).float().mean().item()
        print(f"step {step + 1}: shape {shape_loss.item():.4f} camera {camera_loss.item():.4f} accuracy {right:.3f}")
