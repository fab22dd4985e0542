"""Finds bright spots on a grid; the biases begin at the logit of how rare a spot is."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
PRIOR = 0.03


def scenes(n: int, side: int = 12) -> tuple[Tensor, Tensor]:
    spots = (torch.rand(n, 1, side, side) < PRIOR).float()
    kernel = torch.tensor([[0.2, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 0.2]])[None, None]
    image = 2 * nn.functional.conv2d(spots, kernel, padding=1) + 0.5 * torch.randn(n, 1, side, side)
    return image, spots


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(16, 1, 1)
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        for conv in convolutions:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        for conv in [self.head] if args.fixed else convolutions:
            nn.init.constant_(conv.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


model = Detector()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(90):
    image, spots = scenes(16)
    logits = model(image)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, spots)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        hits = ((logits > 0).float() * spots).sum() / spots.sum()
        print(f"step {step + 1}: loss {loss.item():.4f} recall {hits.item():.3f}")
