"""An actor and a critic on a noisy stock of goods, with returns in the hundreds and a critic whose gradient is always clipped."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

GOODS, DAYS = 6, 12


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(GOODS, 64), nn.Tanh(), nn.Linear(64, GOODS))
        self.critic = nn.Sequential(nn.Linear(GOODS + 1, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, stock: Tensor, left: float) -> tuple[Tensor, Tensor]:
        clock = torch.full((len(stock), 1), left)
        return self.actor(stock), 100 * self.critic(torch.cat([stock, clock], 1)).squeeze(1)


model = ActorCritic()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
earned = []
for step in range(160):
    stock = torch.randn(48, GOODS)
    logs, values, rewards, entropies = [], [], [], []
    for day in range(DAYS):
        logits, value = model(stock, 1 - day / DAYS)
        policy = torch.distributions.Categorical(logits=logits)
        sold = policy.sample()
        rewards.append(20 * stock.gather(1, sold[:, None]).squeeze(1) + 10 * torch.randn(48))
        logs.append(policy.log_prob(sold))
        values.append(value)
        entropies.append(policy.entropy())
        stock = 0.6 * stock + 0.8 * torch.randn(48, GOODS)
    reward = torch.stack(rewards)
    returns = reward.flip(0).cumsum(0).flip(0)
    value = torch.stack(values)
    advantage = returns - value.detach()
    advantage = (advantage - advantage.mean(1, keepdim=True)) / (advantage.std() + 1e-6)
    loss = -(advantage * torch.stack(logs)).mean() + 0.5 * F.mse_loss(value, returns) - 0.01 * torch.stack(entropies).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.critic.parameters(), 5.0)
    optimizer.step()
    earned.append(reward.mean().item())
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.1f} earned {earned[-1]:.2f}")
final = sum(earned[-20:]) / 20
print(f"final earned a day {final:.3f}")
