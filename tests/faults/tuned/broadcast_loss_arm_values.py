"""The value of an action is learned from rewards; gathered values are a column, and the targets a row."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
gains = torch.randn(8, 4)
values = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.RMSprop(values.parameters(), lr=1e-3)
memory = []
for step in range(300):
    state = torch.randn(8)
    action = int(torch.randint(0, 4, ()))
    memory.append((state, action, float(state @ gains[:, action])))
    if len(memory) < 64:
        continue
    batch = [memory[i] for i in torch.randint(0, len(memory), (32,)).tolist()]
    states = torch.stack([one[0] for one in batch])
    actions = torch.tensor([one[1] for one in batch])
    rewards = torch.tensor([one[2] for one in batch])
    predicted = values(states).gather(1, actions.unsqueeze(1))
    if args.fixed:
        predicted = predicted.squeeze(1)
    loss = ((predicted - rewards) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
