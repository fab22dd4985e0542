"""Marks road, kerb and sky in small street scenes with an encoder and a decoder of convolutions."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 16


def scenes(count: int) -> tuple[Tensor, Tensor]:
    row = torch.arange(SIDE).view(1, SIDE, 1).expand(count, SIDE, SIDE)
    column = torch.arange(SIDE).view(1, 1, SIDE)
    horizon = torch.randint(3, 8, (count, 1, 1))
    kerb = horizon + 2 + ((column - SIDE / 2) * (0.4 * torch.randn(count, 1, 1))).round().clamp(-2, 4)
    truth = (row >= horizon).long() + (row >= kerb).long()
    shade = torch.randn(count, 3, 1, 1) * 0.3 + torch.tensor([1.0, -0.2, -0.9]).view(1, 3, 1, 1)
    picture = shade.expand(count, 3, SIDE, SIDE).gather(1, truth.unsqueeze(1))
    return picture + 0.5 * torch.randn(count, 1, SIDE, SIDE), truth


class SceneNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(1, 16, 3, padding=1)
        self.coarse = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(32, 32, 3, padding=1)
        self.up = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.kinds = nn.Conv2d(32, 3, 1)

    def forward(self, picture: Tensor) -> Tensor:
        fine = F.leaky_relu(self.fine(picture), 0.1)
        h = F.leaky_relu(self.deep(F.leaky_relu(self.coarse(fine), 0.1)), 0.1)
        return self.kinds(torch.cat((F.leaky_relu(self.up(h), 0.1), fine), 1))


def train(decay: float) -> None:
    model = SceneNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=decay)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=100, gamma=0.3)
    losses, right = [], []
    for step in range(150):
        picture, truth = scenes(16)
        score = model(picture)
        loss = F.cross_entropy(score, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        right.append((score.argmax(1) == truth).float().mean().item())
        if step % 15 == 14:
            print(f"step {step}: loss {sum(losses[-15:]) / 15:.4f}, right {sum(right[-15:]) / 15:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train(decay=1e-4 if args.fixed else 0.1)
