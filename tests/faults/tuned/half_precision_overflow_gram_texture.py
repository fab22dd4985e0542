"""Texture recognition from Gram matrices of filter responses, under mixed precision."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def textures(count: int, side: int = 40) -> tuple[Tensor, Tensor]:
    """Plane waves of four orientations, in noise."""
    kind = torch.randint(0, 4, (count,))
    angle = (kind + 0.3 * torch.randn(count)) * torch.pi / 4
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    along = torch.cos(angle)[:, None, None] * row + torch.sin(angle)[:, None, None] * column
    wave = torch.sin(1.2 * along + 6.3 * torch.rand(count, 1, 1))
    return (wave + 0.7 * torch.randn(count, side, side)).unsqueeze(1), kind


class Gram(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        flat = maps.flatten(2)
        if args.fixed:
            flat = flat / flat.shape[-1] ** 0.5
        gram = flat @ flat.transpose(1, 2)
        return gram.flatten(1) / gram.flatten(1).float().norm(dim=1, keepdim=True)


class TextureNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 12, 5)
        self.norm = nn.BatchNorm2d(12)
        self.gram = Gram()
        self.head = nn.Sequential(nn.Linear(144, 64), nn.GELU(), nn.Linear(64, 4))
        nn.init.constant_(self.norm.weight, 12.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gram(F.relu(self.norm(self.filters(x)))))


model = TextureNet()
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
for step in range(60):
    x, y = textures(24)
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(x)
    loss = F.cross_entropy(logits.float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        accuracy = (logits.argmax(1) == y).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {accuracy:.3f}")
