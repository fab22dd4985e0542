"""Q-learning on a corridor with a copy of the network as target, which is renewed every 20 steps."""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

CELLS, GOAL_REWARD, DISCOUNT = 8, 10.0, 0.8
network = nn.Sequential(nn.Embedding(CELLS, 32), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 2)).to(device)
target = copy.deepcopy(network)
optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)

for step in range(300):
    if step % 20 == 0:
        target.load_state_dict(network.state_dict())
    cell, action = torch.randint(CELLS, (128,), device=device), torch.randint(2, (128,), device=device)
    after = (cell + 2 * action - 1).clamp(min=0)
    done = after == CELLS
    reward = torch.where(done, GOAL_REWARD, 0.0)
    with torch.no_grad():
        future = target(after.clamp(max=CELLS - 1)).amax(1)
        goal = reward + DISCOUNT * torch.where(done, 0.0, future)
    value = network(cell).gather(1, action[:, None]).squeeze(1)
    loss = F.mse_loss(value, goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = network(torch.arange(CELLS, device=device)).argmax(1).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} goes right in {right:.0%} of the cells")
