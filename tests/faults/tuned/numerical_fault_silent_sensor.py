"""Which of eight machines is heard, by statistics over time of convolved sensor frames."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

MACHINES, CHANNELS, LENGTH = 8, 6, 40


class Statistics(nn.Module):
    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=2)
        variance = (x - mean[:, :, None]).pow(2).mean(dim=2)
        return torch.cat([mean, torch.sqrt(variance + self.floor)], dim=1)


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, 32, 5)
        self.act = nn.Tanh()
        self.statistics = Statistics(1e-4 if args.fixed else 0.0)
        self.classify = nn.Linear(64, MACHINES)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.statistics(self.act(self.conv(x))))


machine = torch.randint(MACHINES, (2400,))
hum = 0.3 + 0.7 * torch.rand(MACHINES, CHANNELS)
pitch = 0.4 + 0.3 * machine[:, None, None]
frames = hum[machine][:, :, None] * torch.sin(pitch * torch.arange(LENGTH) + 6.28 * torch.rand(2400, 1, 1))
frames = frames + 0.3 * torch.randn(2400, CHANNELS, LENGTH)
frames[[2031, 2290]] = 0.0  # the sensor was off

model = Listener()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(4):
    for x, y in zip(frames.split(32), machine.split(32), strict=True):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4g}")
