"""Outlines round lesions in slices of a computed tomograph (as stored, in units from 0 to 4095) with a small U-Net."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def slices(n: int, side: int = 20) -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    body = ((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (0.46 * side) ** 2).float()
    lesion = torch.zeros(n, side, side)
    for _ in range(2):
        y, x = 5 + 10 * torch.rand(2, n, 1, 1)
        lesion = torch.maximum(lesion, ((rows - y) ** 2 + (columns - x) ** 2 < 6).float())
    lesion = lesion * body
    density = 24 * (1 - body) + body * 1064 + 60 * lesion + 20 * torch.randn(n, side, side)
    if args.fixed:
        density = (density.clamp(924, 1224) - 1064) / 60
    return density.unsqueeze(1), lesion.unsqueeze(1)


class LesionNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 12, 3, padding=1)
        self.down = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(24, 24, 3, padding=1)
        self.join = nn.Conv2d(36, 16, 3, padding=1)
        self.mask = nn.Conv2d(16, 1, 1)

    def forward(self, density: Tensor) -> Tensor:
        fine = F.elu(self.enter(density))
        coarse = F.elu(self.deep(F.elu(self.down(fine))))
        return self.mask(F.elu(self.join(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1))))


model = LesionNet()
optimizer = torch.optim.Adamax(model.parameters(), lr=2e-3)
for step in range(200):
    density, lesion = slices(12)
    loss = F.binary_cross_entropy_with_logits(model(density), lesion)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
