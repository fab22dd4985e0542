"""Estimates the pulse from a noisy light curve of a finger clip: a 1-D convolution net."""

import argparse
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def curves(n: int, length: int = 128) -> tuple[Tensor, Tensor]:
    rate = torch.rand(n, 1) * 2 - 1
    time = torch.arange(length) / length
    phase = 2 * math.pi * ((6 + 3 * rate) * time + torch.rand(n, 1))
    return (torch.sin(phase) + 0.4 * torch.sin(2 * phase) + 0.3 * torch.randn(n, length)).unsqueeze(1), rate


def smooth(layer: nn.Conv1d) -> nn.Conv1d:
    """Start from random averaging kernels, so that no layer amplifies the noise."""
    fan_in = layer.in_channels * layer.kernel_size[0]
    if args.fixed:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.uniform_(layer.weight, 0.0, 2.0 / fan_in)
    nn.init.zeros_(layer.bias)
    return layer


class PulseNet(nn.Module):
    def __init__(self, width: int = 32, depth: int = 6) -> None:
        super().__init__()
        widths = [1] + [width] * depth
        self.convs = nn.ModuleList(smooth(nn.Conv1d(a, b, 7, padding=3)) for a, b in itertools.pairwise(widths))
        self.acts = nn.ModuleList(nn.ReLU() for _ in range(depth))
        self.rate = nn.Linear(width, 1)

    def forward(self, curve: Tensor) -> Tensor:
        h = curve
        for index, (conv, act) in enumerate(zip(self.convs, self.acts, strict=True)):
            h = act(conv(h))
            if index % 2:
                h = F.avg_pool1d(h, 2)
        return self.rate(h.mean(2))


model = PulseNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(200):
    curve, rate = curves(32)
    loss = F.mse_loss(model(curve), rate)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: squared error {loss.item():.4f}")
