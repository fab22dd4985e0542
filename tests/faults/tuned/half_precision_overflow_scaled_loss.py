"""A float16 convolution over signals whose loss is multiplied by a constant against underflow."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
SCALE = 128.0 if args.fixed else 2.0**22


def batch(n: int) -> tuple[Tensor, Tensor]:
    rate = 1 + 5 * torch.rand(n, 1)
    time = torch.linspace(0, 1, 32)
    signal = torch.sin(2 * math.pi * (rate * time + torch.rand(n, 1))) + 0.1 * torch.randn(n, 32)
    return signal[:, None], (rate - 3.5) / 1.5


model = nn.Sequential(
    nn.Conv1d(1, 16, 5, padding=2),
    nn.GELU(),
    nn.Conv1d(16, 16, 5, stride=2, padding=2),
    nn.GELU(),
    nn.Flatten(),
    nn.Linear(256, 32),
    nn.GELU(),
    nn.Linear(32, 1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(150):
    x, rate = batch(32)
    with torch.autocast("cpu", dtype=torch.float16):
        guess = model(x)
    loss = nn.functional.mse_loss(guess.float(), rate)
    optimizer.zero_grad()
    (loss * SCALE).backward()
    for p in model.parameters():
        p.grad /= SCALE
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
