"""Predicts the noise in a noisy digit, given how noisy it is: a step of a diffusion model."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Denoiser(nn.Module):
    """Convolutions at one resolution, each followed by normalisation and the noise level's shift."""

    def __init__(self, width: int, depth: int, own_norms: bool) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.levels = nn.ModuleList(nn.Linear(1, width) for _ in range(depth))
        self.bn = nn.BatchNorm2d(width)
        self.more = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth)) if own_norms else [self.bn] * depth
        self.leave = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        h = F.silu(self.bn(self.enter(x)))
        for conv, shift, norm in zip(self.convs, self.levels, self.more, strict=True):
            h = h + F.silu(norm(conv(h) + shift(level)[:, :, None, None]))
        return self.leave(h)


def noisy(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    level = torch.rand(len(x), 1)
    noise = torch.randn_like(x)
    angle = level[:, :, None, None] * torch.pi / 2
    return torch.cos(angle) * x + torch.sin(angle) * noise, level, noise


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    images, _ = digits.load()
    train, held = images[:1440], images[1440:]
    model = Denoiser(16, 4, own_norms=args.fixed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for epoch in range(5):
        model.train()
        total = 0.0
        for index in torch.randperm(len(train)).split(48):
            x, level, noise = noisy(train[index])
            loss = F.mse_loss(model(x, level), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 30
        model.eval()
        with torch.no_grad():
            x, level, noise = noisy(held)
            held_loss = F.mse_loss(model(x, level), noise)
        print(f"epoch {epoch}: training {total:.4f}, held out {held_loss:.4f}")


if __name__ == "__main__":
    main()
