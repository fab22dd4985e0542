"""Finds the place of a blinking beacon in a noisy picture; the network is judged before the first step to have a figure to beat."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def scenes(n: int, side: int = 16) -> tuple[Tensor, Tensor]:
    place = torch.rand(n, 2) * 2 - 1
    line = torch.linspace(-1, 1, side)
    light = torch.exp(-((line.reshape(1, -1, 1) - place[:, :1, None]) ** 2 + (line.reshape(1, 1, -1) - place[:, 1:, None]) ** 2) / 0.05)
    return (3 * light + 0.5 * torch.randn(n, side, side)).unsqueeze(1), place


class Finder(nn.Module):
    def __init__(self, width: int = 16, depth: int = 8) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1, stride=2 if i in (2, 5) else 1, bias=False) for i in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
        self.place = nn.Linear(16 * width, 2)

    def forward(self, picture: Tensor) -> Tensor:
        h = picture
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.relu(norm(conv(h)))
        return self.place(h.flatten(1))


def judge(model: nn.Module) -> float:
    model.eval()
    picture, place = scenes(64)
    with torch.no_grad():
        return F.mse_loss(model(picture), place).item()


model = Finder()
print(f"before training: squared error {judge(model):.4f}")
if args.fixed:
    model.train()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
losses = []
for step in range(120):
    picture, place = scenes(32)
    loss = F.mse_loss(model(picture), place)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 19:
        print(f"step {step + 1}: squared error {sum(losses[-20:]) / 20:.4f}")
