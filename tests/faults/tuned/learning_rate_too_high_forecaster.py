"""Forecast a noisy sum of seasons with dilated causal convolutions."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class CausalBlock(nn.Module):
    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(channels, channels, 3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.relu(self.conv(F.pad(x, (self.pad, 0)))))


class Forecaster(nn.Module):
    def __init__(self, channels: int = 24):
        super().__init__()
        self.lift = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList(CausalBlock(channels, d) for d in (1, 2, 4, 8))
        self.head = nn.Conv1d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


t = torch.arange(4000)
series = torch.sin(2 * math.pi * t / 24) + 0.6 * torch.sin(2 * math.pi * t / 7) + 0.1 * torch.randn(len(t))
windows = series.unfold(0, 65, 1)
train, valid = windows[:3200], windows[3300:]

model = Forecaster().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02 if args.fixed else 0.4, momentum=0.9, nesterov=True)
for step in range(150):
    batch = train[torch.randint(len(train), (32,))].unsqueeze(1).to(device)
    loss = F.mse_loss(model(batch[..., :-1]), batch[..., 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4g}")

with torch.no_grad():
    batch = valid.unsqueeze(1).to(device)
    print(f"validation error {F.mse_loss(model(batch[..., :-1]), batch[..., 1:]).item():.4g}")
