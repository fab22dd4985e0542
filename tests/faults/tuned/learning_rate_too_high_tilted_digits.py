"""The angle by which a digit was turned, as sine and cosine: a small residual network for pictures."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, _ = digits.load()
BATCH, STEPS = 40, 120


def turned() -> tuple[Tensor, Tensor]:
    x = images[torch.randint(len(images), (BATCH,))]
    angle = (torch.rand(BATCH) - 0.5) * torch.pi
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(BATCH)
    turn = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False).to(device), torch.stack([sin, cos], 1).to(device)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + 0.5 * self.two(F.relu(self.one(x))))


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), Residual(16), nn.MaxPool2d(2), Residual(16), Residual(16), nn.Flatten(), nn.Linear(256, 2)
).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03 if args.fixed else 0.6, momentum=0.8, nesterov=True)
total = 0.0
for step in range(1, STEPS + 1):
    x, target = turned()
    loss = F.mse_loss(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 20 == 0:
        print(f"step {step}: loss {total / 20:.4f}")
        total = 0.0
