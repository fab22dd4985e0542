"""Finds small and large discs in pictures: a feature pyramid whose levels share the layers of one head."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def discs(n: int, side: int = 24) -> tuple[Tensor, list[Tensor]]:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture, masks = torch.zeros(n, 1, side, side), []
    for radius in (1.5, 3.0, 6.0):
        y, x = torch.rand(2, n, 1, 1) * side
        mask = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).float().unsqueeze(1)
        picture = torch.maximum(picture, mask)
        masks.append(mask)
    return picture * 2 - 0.6 + 0.3 * torch.randn(n, 1, side, side), masks


class Pyramid(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(inputs, width, 5, padding=2), nn.ReLU()) for inputs in (1, width, width))
        for stage in self.stages:
            nn.init.kaiming_normal_(stage[0].weight, nonlinearity="relu")
        self.shared = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3 if args.fixed else 1))
        self.mask = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> list[Tensor]:
        answers = []
        h = picture
        for level, stage in enumerate(self.stages):
            if level:
                h = F.lp_pool2d(h, 1, 2)
            h = stage(h)
            normed = self.norms[level % len(self.norms)](self.shared(h))
            answers.append(self.mask(F.silu(normed)))
        return answers


def mask_loss(answers: list[Tensor], masks: list[Tensor]) -> Tensor:
    return sum(
        F.binary_cross_entropy_with_logits(answer, F.adaptive_avg_pool2d(mask, answer.shape[-1]))
        for answer, mask in zip(answers, masks, strict=True)
    )


model = Pyramid()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(150):
    picture, masks = discs(12)
    loss = mask_loss(model(picture), masks)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step + 1}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    picture, masks = discs(100)
    print(f"loss on new pictures {mask_loss(model(picture), masks).item():.4f}")
