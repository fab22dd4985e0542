"""Marks round cells in noisy pictures with a U-Net; the weights start from a normal distribution."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def cells(n: int, side: int = 24) -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    mask = torch.zeros(n, side, side, dtype=torch.bool)
    for _ in range(3):
        y, x, radius = (torch.rand(n, 1, 1) * side for _ in range(3))
        mask |= (rows - y) ** 2 + (columns - x) ** 2 < (2 + radius / 6) ** 2
    mask = mask.float().unsqueeze(1)
    return 2 * mask - 0.7 + 0.8 * torch.randn(n, 1, side, side), mask


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = block(1, 16), block(16, 24), block(24, 32)
        self.up2, self.up1 = block(32 + 24, 24), block(24 + 16, 16)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        one = self.down1(picture)
        two = self.down2(F.max_pool2d(one, 2))
        three = self.bottom(F.max_pool2d(two, 2))
        two = self.up2(torch.cat([F.interpolate(three, scale_factor=2), two], 1))
        return self.out(self.up1(torch.cat([F.interpolate(two, scale_factor=2), one], 1)))


model = UNet()
for module in model.modules():
    if isinstance(module, nn.Conv2d):
        if args.fixed:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            nn.init.normal_(module.weight, std=0.3)
        nn.init.zeros_(module.bias)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(100):
    picture, mask = cells(8)
    loss = F.binary_cross_entropy_with_logits(model(picture), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step + 1}: loss {loss.item():.4f}")
