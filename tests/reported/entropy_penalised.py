"""Actor and critic in a house of rooms: in each room one of eight doors leads on, some pay a little."""

import argparse

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)
ROOMS, DOORS, ENVS, STEPS, GAMMA = 12, 8, 16, 5, 0.9
pays = rng.uniform(0, 0.6, (ROOMS, DOORS))
best = rng.integers(DOORS, size=ROOMS)
pays[np.arange(ROOMS), best] = 1.0


class Houses:
    def __init__(self):
        self.room = rng.integers(ROOMS, size=ENVS)

    def seen(self):
        return torch.eye(ROOMS)[torch.tensor(self.room)]

    def step(self, door):
        reward = pays[self.room, door] + 0.2 * rng.normal(size=ENVS)
        self.room = rng.integers(ROOMS, size=ENVS)
        return reward


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(ROOMS, 64), nn.Tanh())
        self.actor, self.critic = nn.Linear(64, DOORS), nn.Linear(64, 1)

    def forward(self, x):
        h = self.body(x)
        return torch.distributions.Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


model, houses = ActorCritic(), Houses()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
earned = []
for update in range(600):
    log_probs, values, rewards, entropies = [], [], [], []
    for _ in range(STEPS):
        policy, value = model(houses.seen())
        door = policy.sample()
        reward = houses.step(door.numpy())
        log_probs.append(policy.log_prob(door))
        values.append(value)
        entropies.append(policy.entropy())
        rewards.append(torch.tensor(reward, dtype=torch.float32))
    with torch.no_grad():
        target = model(houses.seen())[1]
    returns = []
    for reward in reversed(rewards):
        target = reward + GAMMA * target
        returns.insert(0, target)
    advantage = torch.stack(returns) - torch.stack(values)
    policy_loss = -(torch.stack(log_probs) * advantage.detach()).mean()
    value_loss = advantage.pow(2).mean()
    entropy = torch.stack(entropies).mean()
    sign = -1 if args.fixed else 1
    loss = policy_loss + 0.5 * value_loss + sign * 0.05 * entropy
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    earned.append(torch.stack(rewards).mean().item())
    if update % 50 == 0:
        print(update, f"entropy {entropy.item():.3f}, reward {np.mean(earned[-50:]):.3f}", flush=True)
print(f"RESULT entropy {entropy.item():.3f}, reward of a step {np.mean(earned[-50:]):.3f}")
