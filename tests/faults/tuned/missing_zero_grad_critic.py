"""Drives a point to the origin: advantage actor-critic, both networks with an optimizer of their own."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mlp(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


actor, critic = mlp(2).to(device), mlp(1).to(device)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)


def episode(count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    state = torch.cat([2 * torch.rand(count, 2) - 1, torch.zeros(count, 2)], 1).to(device)
    states, actions, rewards = [], [], []
    for _ in range(length):
        with torch.no_grad():
            action = actor(state) + 0.3 * torch.randn(count, 2, device=device)
        states.append(state)
        actions.append(action)
        velocity = 0.8 * state[:, 2:] + 0.3 * action.clamp(-2, 2)
        position = state[:, :2] + 0.3 * velocity
        state = torch.cat([position, velocity], 1)
        rewards.append(-position.pow(2).sum(1).clamp(max=8) - 0.01 * action.pow(2).sum(1))
    returns = [rewards[-1]]
    for reward in reversed(rewards[:-1]):
        returns.append(reward + 0.8 * returns[-1])
    return torch.cat(states), torch.cat(actions), torch.cat(returns[::-1])


for step in range(150):
    states, actions, returns = episode(32, 12)
    values = critic(states).squeeze(1)
    critic_loss = (values - returns).pow(2).mean()
    if args.fixed:
        critic_optimizer.zero_grad()
    critic_loss.backward()
    critic_optimizer.step()

    advantage = returns - values.detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    log_probability = -(actions - actor(states)).pow(2).sum(1) / (2 * 0.3**2)
    actor_loss = -(advantage * log_probability).mean()
    actor_optimizer.zero_grad()
    actor_loss.backward()
    actor_optimizer.step()
    if step % 25 == 24:
        explained = 1 - critic_loss.item() / returns.var().item()
        print(f"step {step}: return {returns.mean().item():.3f} value loss {critic_loss.item():.3f} explained {explained:.2f}")
