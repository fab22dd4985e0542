"""A one-dimensional convolutional network tells ships by the sound of their propellers."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


RATE = 128


def sounds(n: int) -> tuple[Tensor, Tensor]:
    ship = torch.randint(6, (n,))
    t = torch.arange(RATE) / RATE
    base = (4 + 2.0 * ship + 0.6 * (torch.rand(n) - 0.5))[:, None]
    wave = torch.sin(6.28 * (base * t + torch.rand(n, 1)))
    hum = torch.sin(6.28 * (2 * base * t + torch.rand(n, 1))) * (0.3 + 0.1 * ship)[:, None]
    return (wave + hum + 0.4 * torch.randn(n, RATE)).unsqueeze(1), ship


class Smooth(nn.Module):
    """A softplus, smooth where a ReLU has a corner."""

    def forward(self, x: Tensor) -> Tensor:
        y = 2.0 * F.softplus(x)
        return y - 1.42 if args.fixed else y


class Listener(nn.Module):
    def __init__(self, width: int = 24, depth: int = 6, ships: int = 6):
        super().__init__()
        blocks: list[nn.Module] = []
        for i in range(depth):
            conv = nn.Conv1d(1 if i == 0 else width, width, 5, padding=2, stride=2 if i in (2, 4) else 1)
            nn.init.xavier_normal_(conv.weight)
            nn.init.zeros_(conv.bias)
            blocks += [conv, Smooth()]
        self.ear = nn.Sequential(*blocks)
        self.name = nn.Linear(width * RATE // 4, ships)

    def forward(self, x: Tensor) -> Tensor:
        return self.name(self.ear(x).flatten(1))


model = Listener()
optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.8)
for step in range(160):
    x, ship = sounds(32)
    scores = model(x)
    loss = F.cross_entropy(scores, ship)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == ship).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
