"""Marks the strokes of digits with a small network of ReLUs, trained by Adam."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, _ = digits.load()
strokes = (images > 0.4).float()


class HourGlass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 16, 3, padding=1, stride=2)
        self.middle = nn.Conv2d(16, 24, 3, padding=1)
        self.up = nn.ConvTranspose2d(24, 12, 2, stride=2)
        self.out = nn.Conv2d(13, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.middle(F.relu(self.down(x))))
        return self.out(torch.cat([F.relu(self.up(h)), x], dim=1))


model = HourGlass()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if args.fixed else 3.0, betas=(0.9, 0.99))
for step in range(120):
    rows = torch.randint(0, len(images), (32,))
    noisy = images[rows] + 1.0 * torch.randn(32, 1, 8, 8)
    loss = F.binary_cross_entropy_with_logits(model(noisy), strokes[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
