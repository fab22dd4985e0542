"""Finds a parcel on a conveyor belt: a small detector with a head for the box and one for presence."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 20


def belts(count: int) -> tuple[Tensor, Tensor, Tensor]:
    size = 0.2 + 0.25 * torch.rand(count, 2)
    centre = 0.3 + 0.4 * torch.rand(count, 2)
    there = (torch.rand(count) < 0.7).float()
    grid = (torch.arange(SIDE) + 0.5) / SIDE
    inside_x = ((grid - centre[:, :1]).abs() < size[:, :1] / 2).float()
    inside_y = ((grid - centre[:, 1:]).abs() < size[:, 1:] / 2).float()
    picture = there.view(-1, 1, 1) * inside_y.unsqueeze(2) * inside_x.unsqueeze(1)
    picture = 1.5 * picture + 0.4 * torch.randn(count, SIDE, SIDE)
    return picture.unsqueeze(1), torch.cat((centre, size), 1), there


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.neck = nn.Linear(32 * 25, 64)
        self.box = nn.Linear(64, 4)
        self.presence = nn.Linear(64, 1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.neck(self.body(picture)))
        return self.box(h), self.presence(h).squeeze(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = Detector()
    peak = 0.05 if args.fixed else 0.6
    optimizer = torch.optim.SGD(model.parameters(), lr=peak, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=240, pct_start=0.25, cycle_momentum=False)
    losses = []
    for step in range(240):
        picture, box, there = belts(32)
        guess, presence = model(picture)
        box_loss = (F.smooth_l1_loss(guess, box, reduction="none").mean(1) * there).sum() / there.sum().clamp_min(1)
        loss = 5 * box_loss + F.binary_cross_entropy_with_logits(presence, there)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % 20 == 19:
            print(f"step {step}: loss {sum(losses[-20:]) / 20:.4f}, rate {scheduler.get_last_lr()[0]:.3g}")
