"""Q-learning in a corridor of cells with a goal at either end: a small net, replayed steps and a slow copy for the targets."""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

CELLS, DISCOUNT = 15, 0.9


def replay(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Steps from random cells: to the left (0) or right (1), with a reward of 1 at the left end and 2 at the right."""
    cell, action = torch.randint(1, CELLS - 1, (count,)), torch.randint(2, (count,))
    after = cell + 2 * action - 1
    reward = (after == 0).float() + 2 * (after == CELLS - 1).float()
    return cell, action, reward, after, (after == 0) | (after == CELLS - 1)


def view(cell: Tensor) -> Tensor:
    """Distances to a few landmarks, as soft bumps."""
    marks = torch.linspace(0, CELLS - 1, 10)
    return torch.exp(-0.5 * (cell.unsqueeze(1) - marks).pow(2)).to(device)


model = nn.Sequential(nn.Linear(10, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 2)).to(device)
target_net = copy.deepcopy(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(300):
    cell, action, reward, after, over = replay(64)
    with torch.no_grad():
        future = target_net(view(after)).max(1).values.cpu() * (~over)
    wanted = (reward + DISCOUNT * future).to(device)
    q = model(view(cell)).gather(1, action.unsqueeze(1).to(device)).squeeze(1)
    loss = F.mse_loss(q, wanted)
    if args.fixed:
        optimizer.zero_grad()
    else:
        target_net.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        target_net.load_state_dict(model.state_dict())
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

best = torch.zeros(CELLS)
for _ in range(100):
    values = best.clone()
    for c in range(1, CELLS - 1):
        left = 1.0 if c == 1 else DISCOUNT * values[c - 1]
        right = 2.0 if c == CELLS - 2 else DISCOUNT * values[c + 1]
        best[c] = max(left, right)
with torch.no_grad():
    told = model(view(torch.arange(1, CELLS - 1))).max(1).values.cpu()
print(f"error of the values {(told - best[1:-1]).abs().mean().item():.4f}")
