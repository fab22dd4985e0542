"""Noisy pictures seen through a round lens: a network draws linear light, a display curve turns it into what was stored."""

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

images, _ = digits.load(standardise=False)
across = torch.linspace(-1, 1, 8)
inside = (across[:, None] ** 2 + across**2 < 1.4).float()
stored = images / 16 * inside
BATCH, STEPS = 48, 120


class Lens(nn.Module):
    """No light outside the circle."""

    def __init__(self):
        super().__init__()
        self.register_buffer("inside", inside)

    def forward(self, light: Tensor) -> Tensor:
        return light * self.inside


class Display(nn.Module):
    """Power 1 / 2.2 of the light."""

    def forward(self, light: Tensor) -> Tensor:
        return (light + 1e-4 if args.fixed else light) ** (1 / 2.2)


class Develop(nn.Module):
    def __init__(self, width: int = 20):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.light = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.constant_(self.light.bias, 0.25)
        self.rectify, self.lens = nn.Softplus(beta=4), Lens()
        self.display = Display()

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.one(x), 0.1)
        x = F.leaky_relu(self.two(x), 0.1)
        return self.display(self.lens(self.rectify(self.light(x))))


model = Develop().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
total = 0.0
for step in range(1, STEPS + 1):
    picture = stored[torch.randint(len(stored), (BATCH,))].to(device)
    noisy = picture + 0.15 * torch.randn_like(picture)
    loss = F.mse_loss(model(noisy), picture)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 20 == 0:
        print(f"step {step}: loss {total / 20:.4f}")
        total = 0.0
