"""Currents in a network of conductors: one layer applied until its state has settled, the gradient through every round."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Settled(nn.Module):
    def __init__(self, inputs: int, width: int = 40, rounds: int = 20) -> None:
        super().__init__()
        self.rounds = rounds
        self.drive = nn.Linear(inputs, width)
        self.settle = nn.Linear(width, width, bias=False)
        self.current = nn.Linear(width, 4)
        nn.init.orthogonal_(self.settle.weight, gain=0.6)

    def forward(self, x: Tensor) -> Tensor:
        drive = self.drive(x)
        state = torch.zeros_like(drive)
        for _ in range(self.rounds):
            state = torch.tanh(drive + self.settle(state))
        return self.current(state)


conductance = torch.rand(6, 4) - 0.5


def circuits(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 6)
    return x, torch.tanh(2 * x @ conductance) + 0.3 * (x @ conductance)


model = Settled(6)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(250):
    x, current = circuits(64)
    loss = F.mse_loss(model(x), current)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.5f}")
