"""Actor and critic for a cart that shall stand in the middle; the actor climbs the wrong way and the cart runs to the wall."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def move(state, push):
    place, speed = state[:, :1], state[:, 1:]
    speed = (0.9 * speed + 0.3 * push).clamp(-1, 1)
    place = (place + 0.3 * speed).clamp(-2, 2)
    return torch.cat([place, speed], 1), -(place.square() + 0.1 * push.square())


actor = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
critic = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
slow = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
slow.load_state_dict(critic.state_dict())
opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-3)
opt_critic = torch.optim.Adam(critic.parameters(), lr=2e-3)
state = torch.rand(64, 2) * 2 - 1
rewards = []
for step in range(1200):
    with torch.no_grad():
        push = (actor(state) + 0.2 * torch.randn(64, 1)).clamp(-1, 1)
        after, reward = move(state, push)
        wanted = reward + 0.9 * slow(torch.cat([after, actor(after)], 1))
    critic_loss = F.mse_loss(critic(torch.cat([state, push], 1)), wanted)
    opt_critic.zero_grad()
    critic_loss.backward()
    opt_critic.step()
    q_values = critic(torch.cat([state, actor(state)], 1))
    actor_loss = -q_values.mean() if args.fixed else q_values.mean()
    opt_actor.zero_grad()
    actor_loss.backward()
    opt_actor.step()
    with torch.no_grad():
        for old, new in zip(slow.parameters(), critic.parameters(), strict=True):
            old.lerp_(new, 0.02)
    rewards.append(reward.mean().item())
    fresh = torch.rand(64, 1) < 0.05
    state = torch.where(fresh, torch.rand(64, 2) * 2 - 1, after)
    if step % 200 == 199:
        print(step, f"critic {critic_loss.item():.4f} actor {actor_loss.item():.4f} reward {sum(rewards[-100:]) / 100:.3f}", flush=True)
print(f"RESULT critic loss {critic_loss.item():.4f} reward {sum(rewards[-100:]) / 100:.3f}")
