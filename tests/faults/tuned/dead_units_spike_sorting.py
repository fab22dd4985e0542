"""Sparse code of the spikes of nerve cells: an encoder of unrolled shrinkage steps and a dictionary that restores the recording."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
time = torch.linspace(-1, 1, 48)
widths = torch.linspace(0.08, 0.3, 6).unsqueeze(1)
shapes = torch.exp(-((time + 0.3) ** 2) / widths**2) - 0.6 * torch.exp(-((time - 0.3) ** 2) / (1.5 * widths) ** 2)


def recordings(n: int) -> Tensor:
    cell = torch.randint(0, 6, (n, 2))
    size = (0.5 + torch.rand(n, 2, 1)) * (torch.randint(0, 2, (n, 2, 1)) * 2 - 1)
    return 2 * (shapes[cell] * size).sum(dim=1) + 0.1 * torch.randn(n, len(time))


class Shrinkage(nn.Module):
    def __init__(self, units: int, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full((units,), threshold))
        self.positive = nn.ReLU()

    def forward(self, z: Tensor) -> Tensor:
        return self.positive(z - self.threshold)


class SparseCoder(nn.Module):
    def __init__(self, units: int = 64, rounds: int = 3) -> None:
        super().__init__()
        self.analyse = nn.Linear(len(time), units, bias=False)
        self.inhibit = nn.Linear(units, units, bias=False)
        self.shrink = nn.ModuleList(Shrinkage(units, 0.1 if args.fixed else 3.5) for _ in range(rounds))
        self.dictionary = nn.Linear(units, len(time))

    def forward(self, recording: Tensor) -> tuple[Tensor, Tensor]:
        drive = self.analyse(recording)
        code = self.shrink[0](drive)
        for shrink in self.shrink[1:]:
            code = shrink(drive + self.inhibit(code))
        return self.dictionary(code), code


model = SparseCoder()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(250):
    recording = recordings(64)
    restored, code = model(recording)
    error = F.mse_loss(restored, recording)
    loss = error + 1e-3 * code.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: squared error {error.item():.4f}")
