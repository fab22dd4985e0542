"""Which chord sounds? Spectra go through the network in slices that fit the memory; their gradients are summed."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
SLICE = 24 if args.fixed else 2
CHORDS = torch.tensor([[0, 4, 7], [0, 3, 7], [0, 3, 6], [0, 4, 8], [0, 5, 7], [0, 2, 7]])


def spectra(count: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, len(CHORDS), (count,))
    notes = torch.randint(0, 12, (count, 1)) + CHORDS[kind]
    level = torch.zeros(count, 36)
    for harmonic, weight in ((0, 1.0), (12, 0.5)):
        level.scatter_add_(1, notes + harmonic, weight * (0.7 + 0.6 * torch.rand(count, 3)))
    return level + 0.1 * torch.randn(count, 36), kind


class ChordNet(nn.Sequential):
    def __init__(self, width: int = 96) -> None:
        super().__init__(
            nn.Linear(36, width),
            nn.BatchNorm1d(width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.BatchNorm1d(width),
            nn.SiLU(),
            nn.Linear(width, len(CHORDS)),
        )


model = ChordNet()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
held_x, held_y = spectra(512)
for step in range(200):
    model.train()
    spectrum, kind = spectra(24)
    optimizer.zero_grad()
    total = 0.0
    for x, y in zip(spectrum.split(SLICE), kind.split(SLICE), strict=True):
        loss = F.cross_entropy(model(x), y) * len(x) / len(spectrum)
        loss.backward()
        total += loss.item()
    optimizer.step()
    if step % 40 == 39:
        model.eval()
        with torch.no_grad():
            right = (model(held_x).argmax(1) == held_y).float().mean().item()
        print(f"step {step + 1}: loss {total:.4f} held out accuracy {right:.3f}")
