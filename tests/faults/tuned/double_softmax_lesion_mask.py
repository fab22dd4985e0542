"""Marks bright spots in noisy pictures pixel by pixel with a small U-Net."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pictures(count: int, side: int = 16) -> tuple[Tensor, Tensor]:
    """Return pictures with one to three round spots and the masks of the spots."""
    grid = torch.arange(side, dtype=torch.float32)
    centre = 2 + (side - 4) * torch.rand(count, 3, 2)
    radius = 1.5 + 1.5 * torch.rand(count, 3)
    radius = torch.where(torch.rand(count, 3) < torch.tensor([1.0, 0.6, 0.3]), radius, torch.zeros(()))
    distance = (grid[None, None, :, None] - centre[..., 0, None, None]) ** 2 + (grid - centre[..., 1, None, None]) ** 2
    mask = (distance < radius[..., None, None] ** 2).any(1, keepdim=True).float()
    return 1.1 * mask + torch.randn(count, 1, side, side) - 0.1, mask


class Stage(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))


class SegmentationNet(nn.Module):
    def __init__(self, probabilities: bool) -> None:
        super().__init__()
        self.enter = Stage(1, 12)
        self.below = Stage(12, 24)
        self.merge = Stage(36, 12)
        self.mask = nn.Conv2d(12, 1, 1)
        self.activation = nn.Sigmoid() if probabilities else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        fine = self.enter(x)
        coarse = self.below(F.max_pool2d(fine, 2))
        merged = self.merge(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], dim=1))
        return self.activation(self.mask(merged))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = SegmentationNet(probabilities=not args.fixed)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train, masks = pictures(512)
    for epoch in range(6):
        order = torch.randperm(512)
        for index in order.split(32):
            optimizer.zero_grad()
            output = model(train[index])
            loss = criterion(output, masks[index])
            loss.backward()
            optimizer.step()
        found = output > (0.0 if args.fixed else 0.5)
        truth = masks[index].bool()
        overlap = (found & truth).sum() / (found | truth).sum().clamp(min=1)
        print(f"epoch {epoch}: loss {loss.item():.4f} overlap {overlap:.3f}")
