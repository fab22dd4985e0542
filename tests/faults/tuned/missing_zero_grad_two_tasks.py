"""Two heads over a common trunk, each part with an optimizer of its own."""

import argparse

import digits
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
ink = images.flatten(1).mean(dim=1, keepdim=True) * 3


class TwoTasks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.LeakyReLU(0.1), nn.Linear(64, 48), nn.LeakyReLU(0.1))
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.trunk(x)
        return self.digit(h), self.ink(h)


model = TwoTasks()
trunk_optimizer = torch.optim.SGD(model.trunk.parameters(), lr=0.05)
heads_optimizer = torch.optim.SGD([*model.digit.parameters(), *model.ink.parameters()], lr=0.05)
for epoch in range(8):
    order = torch.randperm(1600)
    for rows in order.split(64):
        digit, amount = model(images[rows])
        loss = nn.functional.cross_entropy(digit, labels[rows]) + nn.functional.mse_loss(amount, ink[rows])
        heads_optimizer.zero_grad()
        if args.fixed:
            trunk_optimizer.zero_grad()
        loss.backward()
        trunk_optimizer.step()
        heads_optimizer.step()
    with torch.no_grad():
        digit, _ = model(images[1600:])
        print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {(digit.argmax(1) == labels[1600:]).float().mean():.3f}")
