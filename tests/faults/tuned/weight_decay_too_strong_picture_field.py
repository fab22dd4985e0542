"""A coordinate network that learns one picture: from Fourier features of a place to three colours."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def picture(place: Tensor) -> Tensor:
    """Rings, stripes and a disc."""
    x, y = place[:, 0], place[:, 1]
    rings = torch.sin(14 * (x**2 + y**2).sqrt())
    stripes = torch.sin(9 * x + 4 * y)
    disc = torch.tanh(12 * (0.5 - ((x - 0.2) ** 2 + y**2).sqrt()))
    return torch.stack([rings, stripes, disc], dim=1)


class Field(nn.Module):
    def __init__(self, waves: int = 32, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("directions", 5 * torch.randn(2, waves))
        self.body = nn.Sequential(nn.Linear(2 * waves, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.colour = nn.Linear(width, 3)

    def forward(self, place: Tensor) -> Tensor:
        phase = place @ self.directions
        return self.colour(self.body(torch.cat([phase.sin(), phase.cos()], dim=1)))


model = Field()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2 if args.fixed else 12.0)
for step in range(240):
    place = 2 * torch.rand(256, 2) - 1
    loss = F.mse_loss(model(place), picture(place))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f}")
