"""A densely connected 1-D network tells chirps apart by their direction and curvature."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def chirps(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    t = torch.linspace(0, 1, 64)
    kind = torch.randint(0, 4, (count,))
    slope = torch.tensor([-6.0, -2.0, 2.0, 6.0])[kind][:, None]
    phase = 2 * torch.pi * (8 * t + slope * t**2) + 6.28 * torch.rand(count, 1)
    return (torch.sin(phase) * 1.4 + 0.3 * torch.randn(count, 64))[:, None], kind


class Dense(nn.Module):
    """Every layer sees what all layers before it have made."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, width, 7, padding=3)
        self.layers = nn.ModuleList([nn.Conv1d(width, width, 3, padding=1) for _ in range(depth)])
        for layer in [self.stem, *self.layers]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.read = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = [F.relu(self.stem(x))]
        for layer in self.layers:
            together = torch.stack(made).sum(0)
            if args.fixed:
                together = together / len(made)
            made.append(F.relu(layer(together)))
        return self.read(made[-1].mean(-1))


model = Dense(20, 18)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(120):
    x, kind = chirps(48)
    loss = F.cross_entropy(model(x), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
with torch.no_grad():
    x, kind = chirps(800)
    print(f"loss on new chirps: {F.cross_entropy(model(x), kind).item():.4f}")
