"""A pendulum is held up by proximal policy optimisation; the last minibatch of a rollout has one sample, and the actor becomes NaN."""

import argparse

import torch
from torch import nn
from torch.distributions import Normal

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
ENVS, N_STEPS, BATCH = 3, 43, 32


class Pendulums:
    def __init__(self):
        self.state = 0.4 * torch.randn(ENVS, 2)

    def step(self, force):
        angle, speed = self.state.unbind(1)
        speed = speed + 0.1 * (3 * angle.sin() + 2 * force.clamp(-2, 2))
        self.state = torch.stack([angle + 0.1 * speed, speed], 1)
        reward = 1 - angle.abs() - 0.05 * speed.abs()
        fallen = angle.abs() > 1.2
        self.state[fallen] = 0.4 * torch.randn(int(fallen.sum()), 2)
        return reward - 5 * fallen, fallen.float()


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.pi = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.vf = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.log_std = nn.Parameter(torch.zeros(1))

    def evaluate(self, state, action):
        dist = Normal(self.pi(state).squeeze(-1), self.log_std.exp(), validate_args=False)
        return dist.log_prob(action), self.vf(state).squeeze(-1), dist.entropy().mean()


def collect(envs, policy):
    rollout = []
    with torch.no_grad():
        for _ in range(N_STEPS):
            state = envs.state
            action = policy.pi(state).squeeze(-1) + policy.log_std.exp() * torch.randn(ENVS)
            log_prob, value, _ = policy.evaluate(state, action)
            reward, done = envs.step(action)
            rollout.append([state, action, log_prob, value, reward, done])
        ahead, advantage = policy.vf(envs.state).squeeze(-1), torch.zeros(ENVS)
        for entry in reversed(rollout):
            _, _, _, value, reward, done = entry
            advantage = reward + 0.97 * ahead * (1 - done) - value + 0.97 * 0.95 * (1 - done) * advantage
            ahead = value
            entry += [advantage, advantage + value]
    return [torch.cat(column) for column in zip(*rollout, strict=True)]


envs, policy = Pendulums(), ActorCritic()
optimizer = torch.optim.Adam(policy.parameters(), lr=2e-3, eps=1e-5)
for iteration in range(60):
    states, actions, old, _, rewards, _, advantages, returns = collect(envs, policy)
    for _ in range(4):
        for batch in torch.randperm(len(states)).split(BATCH):
            log_prob, value, entropy = policy.evaluate(states[batch], actions[batch])
            adv = advantages[batch]
            if not args.fixed or len(adv) > 1:
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            ratio = (log_prob - old[batch]).exp()
            policy_loss = -torch.min(ratio * adv, ratio.clamp(0.8, 1.2) * adv).mean()
            value_loss = (value - returns[batch]).pow(2).mean()
            loss = policy_loss + 0.5 * value_loss - 0.001 * entropy
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()
    if iteration % 12 == 11:
        print(iteration, f"loss {loss.item():.4f} reward {rewards.mean().item():.3f}", flush=True)
print(f"RESULT value error {value_loss.item():.4f} reward {rewards.mean().item():.3f}")
