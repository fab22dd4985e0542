"""Rooms of a building warm one another: a tied network that settles for thirty rounds predicts the class of heating plan."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

ROUNDS, WIDTH, INPUTS, PLANS = 30, 80, 16, 5


class Settle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drive = nn.Linear(INPUTS, WIDTH)
        self.couple = nn.Linear(WIDTH, WIDTH, bias=False)
        self.readout = nn.Linear(WIDTH, PLANS)
        nn.init.normal_(self.couple.weight, std=(1.2 if args.fixed else 2.6) * WIDTH**-0.5)

    def forward(self, rooms: Tensor) -> Tensor:
        drive = self.drive(rooms)
        state = torch.zeros_like(drive)
        for _ in range(ROUNDS):
            state = torch.tanh(drive + self.couple(state))
        return self.readout(state)


teacher = nn.Sequential(nn.Linear(INPUTS, 24), nn.Tanh(), nn.Linear(24, PLANS)).requires_grad_(False)
for part in (teacher[0], teacher[2]):
    part.weight.mul_(3)


model = Settle()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
losses = []
for step in range(250):
    rooms = torch.randn(96, INPUTS)
    loss = F.cross_entropy(model(rooms), teacher(rooms).argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
