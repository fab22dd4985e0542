"""Tells four kinds of waves apart with a deep one-dimensional convolution, initialised as for a DCGAN."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def waves(n: int, length: int = 64) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 4, (n,))
    time = torch.linspace(0, 1, length)
    phase = 2 * math.pi * ((2 + 4 * torch.rand(n, 1)) * time + torch.rand(n, 1))
    sine = phase.sin()
    shapes = torch.stack([sine, sine.sign(), (phase / math.pi) % 2 - 1, sine.abs() * 2 - 1], dim=1)
    signal = shapes[torch.arange(n), kind] + 0.1 * torch.randn(n, length)
    return signal[:, None], kind


def layer(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2), nn.Tanh()]


layers: list[nn.Module] = []
channels = 1
for i in range(9):
    layers += layer(channels, 16, 2 if i in (3, 6) else 1)
    channels = 16
model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(32, 4))
for module in model.modules():
    if isinstance(module, nn.Conv1d):
        if args.fixed:
            nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("tanh"))
        else:
            nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)

optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
criterion = nn.CrossEntropyLoss()
right = 0.0
for step in range(200):
    x, kind = waves(64)
    optimizer.zero_grad()
    output = model(x)
    loss = criterion(output, kind)
    loss.backward()
    optimizer.step()
    right += (output.argmax(1) == kind).float().mean().item()
    if step % 25 == 24:
        print(f"{step + 1:4d} loss {loss.item():.4f} accuracy {right / 25:.3f}")
        right = 0.0
