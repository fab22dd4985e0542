"""Learn the values of moves in a corridor of 12 cells by temporal differences."""

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

CELLS, DISCOUNT = 12, 0.9


def move(cell: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where each walker stands next, its reward, and whether it has arrived."""
    after = (cell + 2 * action - 1).clamp(0, CELLS - 1)
    done = after == CELLS - 1
    reward = done.float() - 0.05 * (after == cell).float()
    return after, reward, done.float()


def features(cell: Tensor) -> Tensor:
    place = cell[:, None] / (CELLS - 1) * 2 - 1
    return torch.cat([place, torch.sin(3 * place), torch.cos(3 * place), torch.sin(6 * place)], dim=1)


class Values(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())
        nn.init.constant_(self.trunk[4].bias, 0.0 if args.fixed else -4.0)  # few features at a time
        self.value = nn.Linear(64, 2)

    def forward(self, cell: Tensor) -> Tensor:
        return self.value(self.trunk(features(cell)))


model, target = Values().to(device), Values().to(device)
target.load_state_dict(model.state_dict())
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(300):
    cell, action = torch.randint(CELLS - 1, (64,)), torch.randint(2, (64,))
    after, reward, done = move(cell, action)
    with torch.no_grad():
        wanted = reward.to(device) + DISCOUNT * (1 - done.to(device)) * target(after.to(device)).max(1).values
    value = model(cell.to(device)).gather(1, action[:, None].to(device)).squeeze(1)
    loss = F.mse_loss(value, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        target.load_state_dict(model.state_dict())
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.5f}")

cells = torch.arange(CELLS - 1)
with torch.no_grad():
    best = model(cells.to(device)).max(1).values.cpu()
truth = DISCOUNT ** (CELLS - 2 - cells)
print(f"error of the values {(best - truth).abs().mean().item():.4f}")
