"""Hares and lynxes: the speed of change learned from short histories, rolled out by Euler steps."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Change(nn.Module):
    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))

    def forward(self, state: Tensor, steps: int, width: float) -> Tensor:
        path = []
        for _ in range(steps):
            state = state + width * self.net(state)
            path.append(state)
        return torch.stack(path, 1)


def histories(count: int, steps: int = 10, width: float = 0.15) -> tuple[Tensor, Tensor]:
    """Return the logarithms of both numbers at the start (count, 2) and on the steps after it."""
    state = 0.8 * torch.randn(count, 2)
    start, path = state, []
    for _ in range(steps):
        hares, lynxes = state.exp().unbind(1)
        state = state + width * torch.stack([1 - lynxes, hares - 1], 1).clamp(-4, 4)
        path.append(state)
    return start, torch.stack(path, 1)


model = Change()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-5 if args.fixed else 0.2)
for step in range(250):
    start, path = histories(64)
    loss = F.mse_loss(model(start, steps=10, width=0.15), path)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
