"""Finds a digit on a larger canvas: a convolutional net says which of sixteen cells holds it."""

import argparse

import digits
import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, _ = digits.load()


def canvases(n: int) -> tuple[Tensor, Tensor]:
    canvas = 0.8 * torch.randn(n, 1, 20, 20)
    cell = torch.randint(16, (n,))
    pick = images[torch.randint(len(images), (n,))]
    for i in range(n):
        row, column = 4 * (cell[i] // 4), 4 * (cell[i] % 4)
        canvas[i, :, row : row + 8, column : column + 8] += pick[i]
    return canvas, cell


model = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2),
    nn.GELU(),
    nn.Conv2d(16, 24, 3, stride=2, padding=1),
    nn.GELU(),
    nn.Flatten(),
    nn.Linear(600, 64),
    nn.Tanh(),
    nn.Linear(64, 16),
)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 if args.fixed else 0.05)
for step in range(160):
    x, cell = canvases(32)
    loss = nn.functional.cross_entropy(model(x), cell)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
