"""Tells which of eight notes sound in a short recording: a strided 1-D convolution with several labels per clip."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
RATE, LENGTH = 2000, 256
PITCHES = 220 * 2 ** (torch.tensor([0, 2, 4, 5, 7, 9, 11, 12]) / 12)


def clips(n: int) -> tuple[Tensor, Tensor]:
    notes = (torch.rand(n, 8) < 0.3).float()
    time = torch.arange(LENGTH) / RATE
    waves = torch.sin(2 * math.pi * PITCHES[:, None] * time + 2 * math.pi * torch.rand(n, 8, 1))
    return (notes.unsqueeze(2) * waves).sum(1, keepdim=True) + 0.1 * torch.randn(n, 1, LENGTH), notes


class NoteDetector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 48, 65, stride=4)
        self.norm = nn.GroupNorm(6, 48)
        self.mix = nn.Conv1d(48, 48, 1)
        self.notes = nn.Linear(48, 8)

    def forward(self, clip: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.filters(clip)))
        return self.notes(torch.relu(self.mix(h)).mean(2))


model = NoteDetector()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5 if args.fixed else 1e-3, momentum=0.9, nesterov=True)
for step in range(250):
    signal, target = clips(48)
    loss = criterion(model(signal), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
