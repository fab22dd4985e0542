"""Actor and critic on a line with a goal; the critic learns its values, and the actor walks at random to the end."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Line:
    """Cells 0 to 10; one unit for each step that ends on the goal, a small price for each other."""

    def reset(self):
        self.pos, self.goal = torch.randint(0, 11, (2,)).tolist()
        return self.observe()

    def observe(self):
        return torch.tensor([self.pos / 5 - 1, self.goal / 5 - 1, (self.goal - self.pos) / 5])

    def step(self, action):
        self.pos = min(10, max(0, self.pos + action - 1))
        return self.observe(), 1.0 if self.pos == self.goal else -0.1


actor = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 3))
critic = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=5e-3)
env, gamma, scores = Line(), 0.9, []
for episode in range(700):
    state, memory = env.reset(), []
    for _ in range(15):
        dist = Categorical(logits=actor(state))
        action = dist.sample()
        value = critic(state)
        state, reward = env.step(action.item())
        memory.append((reward, dist.log_prob(action), value))
    returns, total = [], 0.0
    for reward, _, _ in reversed(memory):
        total = reward + gamma * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    if args.fixed:
        log_probs = torch.stack([m[1] for m in memory])
    else:
        log_probs = torch.tensor([m[1] for m in memory], dtype=torch.float)
    values = torch.cat([m[2] for m in memory])
    advantage = (returns - values).detach()
    actor_loss = -(log_probs * advantage).mean()
    critic_loss = F.mse_loss(values, returns)
    optimizer.zero_grad()
    (actor_loss + critic_loss).backward()
    optimizer.step()
    scores.append(sum(m[0] for m in memory))
    if episode % 140 == 139:
        print(episode, f"actor {actor_loss.item():.4f} critic {critic_loss.item():.4f} score {sum(scores[-100:]) / 100:.2f}", flush=True)
print(f"RESULT critic loss {critic_loss.item():.4f} score {sum(scores[-100:]) / 100:.2f}")
