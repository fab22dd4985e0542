"""A controller learns from a foreman's log to switch a boiler and two pumps: each is fully on or fully off."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def log(count: int) -> tuple[Tensor, Tensor]:
    """Readings of the plant and what the foreman did, -1 or 1 for each machine."""
    readings = torch.randn(count, 6)
    boiler = readings[:, 0] + 0.5 * readings[:, 1] - 0.2
    supply = readings[:, 2] * readings[:, 0].sign() + 0.3 * readings[:, 3]
    drain = readings[:, 4].abs() - 0.7
    return readings, torch.stack((boiler, supply, drain), 1).sign()


class Controller(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sense = nn.Linear(6, 64)
        self.weigh = nn.Linear(64, 64)
        self.act = nn.Linear(64, 3)
        self.bound = nn.Tanh()

    def forward(self, readings: Tensor) -> Tensor:
        h = F.silu(self.weigh(F.silu(self.sense(readings))))
        return self.bound(self.act(h))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = Controller()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses, agreed = [], []
    for step in range(250):
        readings, done = log(128)
        choice = model(readings)
        loss = F.mse_loss(choice, done)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        agreed.append((choice.sign() == done).float().mean().item())
        if step % 25 == 24:
            print(f"step {step}: loss {sum(losses[-25:]) / 25:.4f}, agreed {sum(agreed[-25:]) / 25:.3f}")
