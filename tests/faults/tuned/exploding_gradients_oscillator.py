"""Learns the energy of a driven pendulum from its motion with a recurrent network of bounded state."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def motions(n: int, length: int = 24) -> tuple[Tensor, Tensor]:
    size, rate = 0.3 + torch.rand(n, 1), 0.3 + 0.6 * torch.rand(n, 1)
    phase = 2 * math.pi * torch.rand(n, 1) + rate * torch.arange(length)
    motion = torch.stack([size * phase.sin(), size * rate * phase.cos()], dim=2)
    return motion + 0.02 * torch.randn_like(motion), (size**2 - 0.72) / 0.48


class Observer(nn.Module):
    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.recurrent = nn.RNN(2, hidden, batch_first=True)
        self.energy = nn.Linear(hidden, 1)
        nn.init.normal_(self.recurrent.weight_hh_l0, std=(0.9 if args.fixed else 3.0) / hidden**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.energy(self.recurrent(x)[0][:, -1])


model = Observer()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    x, energy = motions(64)
    loss = nn.functional.mse_loss(model(x), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
