"""A squashed Gaussian policy, as in soft actor-critic, on a one-step task."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class SquashedGaussian(nn.Module):
    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, mean: Tensor, log_deviation: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn_like(mean)
        action = torch.tanh(mean + log_deviation.exp() * noise)
        log_density = -0.5 * noise**2 - log_deviation - torch.log(1 - action**2 + self.floor)
        return action, log_density.sum(dim=1)


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.mean = nn.Linear(64, 2)
        self.log_deviation = nn.Linear(64, 2)
        self.squash = SquashedGaussian(1e-6 if args.fixed else 0.0)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(state)
        return self.squash(self.mean(h), self.log_deviation(h).clamp(-3, 1))


policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
goal = torch.randn(6, 2)
for step in range(150):
    state = torch.randn(256, 6)
    action, log_density = policy(state)
    best = (state @ goal).sign()
    loss = (0.02 * log_density + (action - best).pow(2).sum(dim=1)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        agree = (action.sign() == best).float().mean()
        print(f"step {step + 1}: loss {loss.item():.4f}, agreement {agree.item():.3f}")
