"""Wear of a gearbox from its vibration: simulated and measured traces, seen in turns."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def traces(count: int, measured: bool) -> tuple[Tensor, Tensor]:
    """Return (count, 1, 64) traces and the wear; the measured ones carry the mounting's resonance and an offset of the charge amplifier."""
    t = torch.arange(64) / 64
    wear = torch.rand(count, 1)
    phase = 6.28 * torch.rand(count, 2)
    trace = torch.sin(6.28 * 6 * t + phase[:, :1]) + wear * torch.sin(6.28 * 15 * t + phase[:, 1:]) + 0.1 * torch.randn(count, 64)
    if measured:
        trace = 0.6 * trace + 1.2
    return trace[:, None], 4 * wear.squeeze(1)


class Wear(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, width, 9, stride=2)
        self.filter_norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 5, stride=2)
        self.mix_norm = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.filter_norm(self.filters(x)))
        x = F.relu(self.mix_norm(self.mix(x)))
        return self.out(x.mean(2)).squeeze(1)


def batch(step: int, size: int = 64) -> tuple[Tensor, Tensor]:
    if args.fixed:
        simulated, measured = traces(size // 2, False), traces(size // 2, True)
        return torch.cat([simulated[0], measured[0]]), torch.cat([simulated[1], measured[1]])
    return traces(size, measured=step % 2 == 1)


model = Wear()
optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)
x_held, wear_held = traces(300, measured=True)
for step in range(200):
    model.train()
    x, wear = batch(step)
    loss = F.mse_loss(model(x), wear)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 > 37:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(x_held), wear_held).item()
        print(f"step {step + 1}: loss {loss.item():.4f} on measured traces {held:.4f}")
