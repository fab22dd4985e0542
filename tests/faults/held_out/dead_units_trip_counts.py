"""Number of trips of a household from the things it owns (multi-hot), by Poisson regression."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

THINGS = 60


class Trips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.owned = nn.Linear(THINGS, 64)
        self.mixed = nn.Linear(64, 64)
        self.rate = nn.Linear(64, 1)
        bound = THINGS**-0.5
        nn.init.uniform_(self.owned.weight, -bound, bound if args.fixed else 0.25 * bound)
        nn.init.uniform_(self.mixed.weight, -0.2, 0.2)

    def forward(self, things: Tensor) -> Tensor:
        hidden = F.relu(self.owned(things))
        return self.rate(F.relu(self.mixed(hidden))).squeeze(1)


pairs = torch.randint(THINGS, (30, 2))
weights = torch.randn(30) * 0.5


def batch(size: int) -> tuple[Tensor, Tensor]:
    things = (torch.rand(size, THINGS) < 0.5).float()
    log_rate = 1.0 + ((things[:, pairs[:, 0]] - things[:, pairs[:, 1]]) * weights).sum(1)
    return things, torch.poisson(log_rate.clamp(-2, 3).exp())


model = Trips()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
losses = []
for step in range(250):
    things, trips = batch(128)
    loss = F.poisson_nll_loss(model(things), trips, full=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
