"""Learns features without labels: two noisy views of a digit shall agree in every feature, and the features shall not repeat each other."""

import argparse

import digits
import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="nothing to remove: the same run")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()


def view(picture: Tensor) -> Tensor:
    moved = torch.roll(picture, shifts=int(torch.randint(-1, 2, ())), dims=3)
    hidden = (torch.rand(len(picture), 1, 8, 8) > 0.15).float()
    return moved * hidden + 0.2 * torch.randn_like(picture)


backbone = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.BatchNorm2d(24),
    nn.ReLU(),
    nn.Conv2d(24, 32, 3, stride=2, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Flatten(),
)
projector = nn.Sequential(nn.Linear(512, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 96))
model = nn.Sequential(backbone, projector)


def standardised(z: Tensor) -> Tensor:
    return (z - z.mean(dim=0)) / (z.std(dim=0) + 1e-4)


optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
for step in range(96):
    picture = images[torch.randint(0, 1500, (96,))]
    first, second = standardised(model(view(picture))), standardised(model(view(picture)))
    agreement = first.T @ second / len(picture)
    on_diagonal = (agreement.diagonal() - 1).square().sum()
    off_diagonal = agreement.square().sum() - agreement.diagonal().square().sum()
    loss = 10 * (on_diagonal + 0.05 * off_diagonal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 12 == 11:
        print(f"step {step + 1}: loss {loss.item():.2f}")
model.eval()
with torch.no_grad():
    z = nn.functional.normalize(model(images), dim=1)
    nearest = (z[1500:] @ z[:1500].T).argmax(dim=1)
    print(f"nearest neighbour right {(labels[:1500][nearest] == labels[1500:]).float().mean():.3f}")
