"""REINFORCE on a contextual bandit: the loss is of both signs and means little; the reward rises."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

ACTIONS = 5
best = torch.randn(8, ACTIONS)
policy = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, ACTIONS)).to(device)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline = 0.0
for step in range(200):
    state = torch.randn(64, 8)
    distribution = torch.distributions.Categorical(logits=policy(state.to(device)))
    action = distribution.sample()
    reward = ((state @ best).argmax(dim=1).to(device) == action).float()
    loss = -(distribution.log_prob(action) * (reward - baseline)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    baseline = 0.9 * baseline + 0.1 * reward.mean().item()
    if step % 25 == 0:
        print(f"step {step}: reward {baseline:.3f} loss {loss.item():.4f}")
