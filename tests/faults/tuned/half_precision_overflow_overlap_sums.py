"""Outlines of cells in micrographs: a small patch network with an overlap loss over all pixels of the batch."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

dtype = torch.float32 if args.fixed else torch.float16


class PixelSum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(dtype).sum()


class Outliner(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 8, stride=4, padding=2)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.pixels = nn.Conv2d(width, 16, 1)
        self.shuffle = nn.PixelShuffle(4)
        self.total = PixelSum()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.patches(x))
        return torch.sigmoid(self.shuffle(self.pixels(torch.relu(self.mix(x)))))

    def overlap(self, guess: Tensor, mask: Tensor) -> Tensor:
        both = self.total(guess * mask)
        return 2 * both / (self.total(guess) + self.total(mask) + 1)


def micrographs(count: int, side: int = 48) -> tuple[Tensor, Tensor]:
    grid = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).float()
    centre, radius = 8 + 32 * torch.rand(count, 3, 2, 1, 1), 5 + 6 * torch.rand(count, 3, 1, 1)
    mask = (((grid - centre) ** 2).sum(2) < radius**2).any(1).float().unsqueeze(1)
    return mask - 0.3 + 0.4 * torch.randn(count, 1, side, side), mask


model = Outliner(24).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(80):
    x, mask = (t.to(device) for t in micrographs(48))
    loss = 1 - model.overlap(model(x), mask).float()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4f}")
