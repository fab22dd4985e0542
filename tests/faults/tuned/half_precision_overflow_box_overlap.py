"""Draws boxes around objects in aerial pictures of 640 pixels; the loss is one minus the overlap of the boxes, all of it in float16."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
PIXELS, CELLS = 640, 16


def pictures(n: int) -> tuple[Tensor, Tensor]:
    half = 80 + 180 * torch.rand(n, 2)
    centre = half + (PIXELS - 2 * half) * torch.rand(n, 2)
    boxes = torch.cat([centre - half, centre + half], dim=1)
    edges = torch.arange(CELLS) * PIXELS / CELLS + PIXELS / CELLS / 2
    inside_x = torch.sigmoid((edges - boxes[:, 0:1]) / 20) * torch.sigmoid((boxes[:, 2:3] - edges) / 20)
    inside_y = torch.sigmoid((edges - boxes[:, 1:2]) / 20) * torch.sigmoid((boxes[:, 3:4] - edges) / 20)
    picture = inside_y.unsqueeze(2) * inside_x.unsqueeze(1)
    return 2 * picture.unsqueeze(1) - 0.6 + 0.2 * torch.randn(n, 1, CELLS, CELLS), boxes


class BoxNet(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU(), nn.Flatten()
        )
        self.box = nn.Linear(16 * width, 4)

    def forward(self, picture: Tensor) -> Tensor:
        centre, half = self.box(self.body(picture)).sigmoid().chunk(2, dim=1)
        return PIXELS * torch.cat([centre - half / 2, centre + half / 2], dim=1)


class OverlapLoss(nn.Module):
    def forward(self, answer: Tensor, boxes: Tensor) -> Tensor:
        if args.fixed:
            answer, boxes = answer / PIXELS, boxes / PIXELS
        common = (torch.minimum(answer[:, 2:], boxes[:, 2:]) - torch.maximum(answer[:, :2], boxes[:, :2])).clamp_min(0).prod(dim=1)
        area = (answer[:, 2:] - answer[:, :2]).prod(dim=1) + (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        return 1 - (common / (area - common)).mean()


model = BoxNet().half()
criterion = OverlapLoss()
copies = [parameter.detach().clone().float().requires_grad_() for parameter in model.parameters()]
optimizer = torch.optim.Adam(copies, lr=3e-3)
for step in range(200):
    picture, boxes = pictures(32)
    loss = criterion(model(picture.half()), boxes.half())
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for copy, parameter in zip(copies, model.parameters(), strict=True):
            copy.grad = parameter.grad.float()
        optimizer.step()
        for copy, parameter in zip(copies, model.parameters(), strict=True):
            parameter.copy_(copy)
    if step % 20 == 19:
        print(f"step {step + 1}: one minus overlap {loss.item():.4f}")
