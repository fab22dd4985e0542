"""Learns the acceleration of a damped, driven pendulum from its state."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Field(nn.Module):
    """Acceleration as a function of angle, speed and drive."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.inner = nn.Linear(3, width)
        self.outer = nn.Linear(width, width)
        self.readout = nn.Linear(width, 1)

    def reset(self) -> None:
        for layer in (self.inner, self.outer, self.readout):
            nn.init.zeros_(layer.bias)
            if not args.fixed:
                nn.init.constant_(layer.weight, 1 / layer.in_features)

    def forward(self, state: Tensor) -> Tensor:
        return self.readout(torch.tanh(self.outer(torch.tanh(self.inner(state))))).squeeze(-1)


def acceleration(state: Tensor) -> Tensor:
    angle, speed, drive = state.unbind(-1)
    return -2 * torch.sin(2 * angle) - 0.4 * speed * speed.abs() + drive * torch.cos(angle)


field = Field()
field.reset()
optimizer = torch.optim.NAdam(field.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
for step in range(300):
    state = torch.randn(128, 3)
    target = acceleration(state)
    loss = torch.nn.functional.smooth_l1_loss(field(state), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
