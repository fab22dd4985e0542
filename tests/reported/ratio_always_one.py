"""A policy walks to a goal; the old log-probabilities are taken anew in each epoch: the ratio is one, and nothing is ever clipped."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 4))
critic = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-2)
MOVES = torch.tensor([[0.2, 0.0], [-0.2, 0.0], [0.0, 0.2], [0.0, -0.2]])


def episodes(count=32, length=12):
    place, states, actions, rewards = torch.rand(count, 2) * 2 - 1, [], [], []
    for _ in range(length):
        with torch.no_grad():
            action = torch.distributions.Categorical(logits=actor(place)).sample()
        states.append(place)
        actions.append(action)
        place = (place + MOVES[action]).clamp(-1, 1)
        rewards.append(-place.norm(dim=1))
    returns, ahead = [], torch.zeros(count)
    for reward in reversed(rewards):
        ahead = reward + 0.9 * ahead
        returns.insert(0, ahead)
    return torch.cat(states), torch.cat(actions), torch.cat(returns), torch.stack(rewards).mean().item()


for update in range(40):
    states, actions, returns, score = episodes()
    with torch.no_grad():
        advantage = returns - critic(states)[:, 0]
        advantage = (advantage - advantage.mean()) / advantage.std()
        old = torch.distributions.Categorical(logits=actor(states)).log_prob(actions)
    for _ in range(8):
        new = torch.distributions.Categorical(logits=actor(states)).log_prob(actions)
        ratio = (new - (old if args.fixed else new.detach())).exp()
        policy = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        value = (critic(states)[:, 0] - returns).square().mean()
        optimizer.zero_grad()
        (policy + 0.5 * value).backward()
        optimizer.step()
    if update % 8 == 7:
        print(update, f"score {score:.3f} value error {value.item():.3f}", flush=True)
print(f"RESULT score {score:.3f} value error {value.item():.3f}")
