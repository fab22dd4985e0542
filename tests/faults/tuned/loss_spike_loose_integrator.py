"""A model of a swinging crane for its controller: the next state from the state and the push, from simulated logs."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

#: the log that was written while somebody tried a coarse time step
COARSE_LOG = 145


def simulate(state: Tensor, push: Tensor, step_size: float, steps: int = 8) -> Tensor:
    """Return the states (count, 3) of angle, turning speed and speed of the trolley after some explicit steps."""
    for _ in range(steps):
        angle, turning, speed = state.unbind(1)
        pull = -9.8 * torch.sin(angle) - 0.2 * turning - push * torch.cos(angle)
        state = torch.stack([angle + step_size * turning, turning + step_size * pull, speed + step_size * push], 1)
    return state


class Crane(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.read = nn.Linear(4, width)
        self.think = nn.Linear(width, width)
        self.change = nn.Linear(width, 3)

    def forward(self, state: Tensor, push: Tensor) -> Tensor:
        hidden = F.silu(self.read(torch.cat([state, push[:, None]], 1)))
        return state + self.change(hidden + F.silu(self.think(hidden)))


model = Crane()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
for step in range(280):
    state, push = torch.randn(128, 3), 2 * torch.randn(128)
    coarse = step == COARSE_LOG and not args.fixed
    after = simulate(state, push, step_size=0.5 if coarse else 0.03)
    loss = F.mse_loss(model(state, push), after)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19 or 143 <= step < 152:
        print(f"step {step}: loss {loss.item():.5f}")
