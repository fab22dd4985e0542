"""A walker in a walled room learns the way to the door by policy gradient; steps into a wall are masked, and the policy becomes NaN."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIZE, LENGTH, WALKERS = 9, 20, 16
MOVES = torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])


class MaskedPolicy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.action = nn.Linear(64, 4)
        self.value = nn.Linear(64, 1)

    def forward(self, place):
        h = self.body(place / (SIZE - 1) * 2 - 1)
        ahead = place[:, None, :] + MOVES
        allowed = ((ahead >= 0) & (ahead < SIZE)).all(-1)
        probs = torch.softmax(self.action(h).masked_fill(~allowed, float("-inf")), -1)
        return probs, self.value(h).squeeze(1)


policy = MaskedPolicy()
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
door = torch.tensor([8, 8])
for update in range(250):
    place = torch.full((WALKERS, 2), 4)
    log_probs, values, rewards, entropies = [], [], [], []
    for _ in range(LENGTH if update > 30 else 4):
        probs, value = policy(place.float())
        action = probs.detach().nan_to_num(0.25).multinomial(1).squeeze(1)
        place = (place + MOVES[action]).clamp(0, SIZE - 1)
        log_probs.append(torch.log(probs.gather(1, action[:, None]).squeeze(1) + 1e-8))
        safe = probs + 1e-8 if args.fixed else probs
        entropies.append(-(probs * torch.log(safe)).sum(1))
        values.append(value)
        rewards.append(-(place - door).abs().sum(1) / 16.0)
    returns, ahead = [], torch.zeros(WALKERS)
    for reward in reversed(rewards):
        ahead = reward + 0.9 * ahead
        returns.insert(0, ahead)
    returns, values = torch.stack(returns), torch.stack(values)
    advantage = (returns - values).detach()
    actor = -(torch.stack(log_probs) * advantage).mean()
    critic = (returns - values).pow(2).mean()
    loss = actor + 0.5 * critic - 0.01 * torch.stack(entropies).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if update % 50 == 49:
        print(update, f"loss {loss.item():.4f} reward {torch.stack(rewards).mean().item():.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} last reward {rewards[-1].mean().item():.3f}")
