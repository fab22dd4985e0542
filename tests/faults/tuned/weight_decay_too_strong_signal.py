"""Counts pulses in a signal by a one-dimensional residual network, with decoupled weight decay."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
kernel = torch.tensor([0.3, 1.0, 0.6, 0.2])[None, None]


def pulses(n: int) -> tuple[Tensor, Tensor]:
    share = 0.02 + 0.15 * torch.rand(n, 1, 1)
    events = (torch.rand(n, 1, 40) < share).float()
    signal = F.conv1d(F.pad(events, (3, 0)), kernel) + 0.1 * torch.randn(n, 1, 40)
    return signal, (events.sum(dim=2) - 4) / 3


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(x)))


model = nn.Sequential(nn.Conv1d(1, 12, 3, padding=1), Residual(12), Residual(12), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 1))
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3, weight_decay=1e-3 if args.fixed else 20.0, decoupled_weight_decay=True)
for step in range(150):
    signal, count = pulses(48)
    loss = F.mse_loss(model(signal), count)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
