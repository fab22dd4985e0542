"""REINFORCE keeps a pole up: the returns of all steps multiply the mean log-probability of the episode, not each its own."""

import argparse
import math

import torch
from torch import nn
from torch.distributions import Normal

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
STEPS = 120


class Pole:
    def reset(self):
        self.state = (torch.rand(4) - 0.5).mul(0.1).tolist()
        return torch.tensor(self.state)

    def step(self, action):
        x, v, angle, w = self.state
        force = max(-10.0, min(10.0, 10 * action))
        push = (force + 0.05 * w * w * math.sin(angle)) / 1.1
        turn = (9.8 * math.sin(angle) - math.cos(angle) * push) / (0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1))
        move = push - 0.05 * turn * math.cos(angle) / 1.1
        self.state = [x + 0.04 * v, v + 0.04 * move, angle + 0.04 * w, w + 0.04 * turn]
        fell = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.21
        return torch.tensor(self.state), 1.0, fell


class PolicyNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared_net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 32), nn.Tanh())
        self.policy_mean_net = nn.Linear(32, 1)
        self.policy_stddev_net = nn.Linear(32, 1)

    def forward(self, x):
        shared = self.shared_net(x)
        return self.policy_mean_net(shared), torch.log(1 + torch.exp(self.policy_stddev_net(shared)))


env, net = Pole(), PolicyNetwork()
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
lengths = []
for episode in range(500):
    observation, probs, rewards = env.reset(), [], []
    for _ in range(STEPS):
        mean, std = net(observation)
        distribution = Normal(mean + 1e-6, std + 1e-6)
        action = distribution.sample()
        probs.append(distribution.log_prob(action).sum())
        observation, reward, fell = env.step(action.item())
        rewards.append(reward)
        if fell:
            break
    running, returns = 0.0, []
    for reward in reversed(rewards):
        running = reward + 0.97 * running
        returns.insert(0, running)
    deltas, log_probs = torch.tensor(returns), torch.stack(probs)
    loss = -torch.sum((log_probs if args.fixed else log_probs.mean()) * deltas)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lengths.append(len(rewards))
    if episode % 100 == 99:
        print(episode, f"reward {sum(lengths[-100:]) / 100:.1f}", flush=True)
print(f"RESULT reward of the last 100 episodes {sum(lengths[-100:]) / 100:.1f}")
