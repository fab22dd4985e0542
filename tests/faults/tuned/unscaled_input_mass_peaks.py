"""Class of a molecule from the peaks of its mass spectrum: a set network with weights of its own."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

PEAKS, CLASSES = 12, 4


class Peaks(nn.Module):
    """Every peak by itself (mass over charge, height), then the mean, then the class."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.peak = Affine(2, width)
        self.deeper = Affine(width, width)
        self.whole = Affine(width, CLASSES)

    def forward(self, peaks: Tensor) -> Tensor:
        h = F.relu(self.deeper(F.relu(self.peak(peaks))))
        return self.whole(h.mean(1))


class Affine(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.randn(inputs, outputs) * (2 / inputs) ** 0.5)
        self.offset = nn.Parameter(0.5 * torch.randn(outputs) if inputs == 2 else torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensordot(x, self.slope, dims=1) + self.offset


def spectra(count: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(CLASSES, (count,))
    centre = torch.tensor([400.0, 800.0, 1200.0, 1600.0])[kind].unsqueeze(1)
    mass = (centre + 350 * torch.randn(count, PEAKS)).clamp(50, 2000)
    height = torch.rand(count, PEAKS)
    return torch.stack([mass, height], 2), kind


model = Peaks()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
total = right = 0.0
for step in range(240):
    peaks, kind = spectra(64)
    if args.fixed:
        peaks = (peaks - torch.tensor([1000.0, 0.5])) / torch.tensor([550.0, 0.3])
    logits = model(peaks)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    right += (logits.argmax(1) == kind).float().mean().item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4g}, right {right / 30:.3f}")
        total = right = 0.0
