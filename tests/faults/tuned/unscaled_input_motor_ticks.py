"""Clones the controller of a pendulum cart from its log: wheel encoder, angle and speeds to the motor's current."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Controller(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.senses = nn.Linear(4, width)
        self.thought = nn.Linear(width, width)
        self.current = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.senses(x))
        return self.current(torch.relu(self.thought(x))).squeeze(1)


def log(count: int) -> tuple[Tensor, Tensor]:
    position, angle, speed, turn = torch.randn(4, count)
    current = torch.tanh(position + 3 * angle + 0.5 * speed + turn) + 0.4 * angle * speed
    ticks = 32768 + 2048 * position
    if args.fixed:
        ticks = (ticks - 32768) / 2048
    return torch.stack([ticks, angle, speed, turn], 1), current


model = Controller(64).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(280):
    x, current = log(128)
    loss = F.huber_loss(model(x.to(device)), current.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
