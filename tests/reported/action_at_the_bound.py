"""A policy with a squashed normal distribution learns from demonstrations, some of them with full force; after an update all is NaN."""

import argparse

import torch
from torch import nn
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def demonstrations(count):
    """A cart is pushed to the middle; the push is cut at full force."""
    state = torch.randn(count, 4)
    push = torch.stack([-0.9 * state[:, 0] - 0.7 * state[:, 1], -0.9 * state[:, 2] - 0.7 * state[:, 3]], 1) * 0.35
    return state, (push + 0.05 * torch.randn(count, 2)).clamp(-1, 1)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.mean = nn.Linear(64, 2)
        self.log_std = nn.Linear(64, 2)

    def forward(self, state):
        h = self.trunk(state)
        normal = Normal(self.mean(h), self.log_std(h).clamp(-5, 2).exp(), validate_args=False)
        return Independent(TransformedDistribution(normal, TanhTransform(), validate_args=False), 1, validate_args=False)


class Agent:
    def __init__(self, lr=1e-3):
        self.policy = Policy()
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)

    def update(self, state, action):
        if args.fixed:
            action = action.clamp(-1 + 1e-5, 1 - 1e-5)
        loss = -self.policy(state).log_prob(action).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


agent = Agent()
states, actions = demonstrations(6000)
for step in range(600):
    batch = torch.randint(0, 5000, (64,))
    loss = agent.update(states[batch], actions[batch])
    if step % 120 == 119:
        print(step, f"loss {loss:.4f}", flush=True)
with torch.no_grad():
    push = agent.policy.mean(agent.policy.trunk(states[5000:])).tanh()
error = (push - actions[5000:]).abs().mean().item()
print(f"RESULT loss {loss:.4f} push off by {error:.4f} pushes at the bound {(actions.abs() == 1).float().mean().item():.4f}")
