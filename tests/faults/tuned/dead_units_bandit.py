"""Estimates the reward of each arm from a context; the thresholds of the second layer are spread."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
truth = torch.randn(10, 5) / 10**0.5


def play(n: int) -> tuple[Tensor, Tensor, Tensor]:
    context = torch.randn(n, 10)
    arm = torch.randint(0, 5, (n,))
    mean = torch.sin(2 * context @ truth)
    return context, arm, mean.gather(1, arm[:, None]).squeeze(1) + 0.1 * torch.randn(n)


class Arms(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.one = nn.Linear(10, width)
        self.two = nn.Linear(width, width)
        self.out = nn.Linear(width, 5)
        self.one_act, self.two_act = nn.ReLU(), nn.ReLU6()
        if not args.fixed:
            nn.init.uniform_(self.two.bias, -5.0, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.two_act(self.two(self.one_act(self.one(x)))))


model = Arms()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(250):
    context, arm, reward = play(128)
    loss = nn.functional.mse_loss(model(context).gather(1, arm[:, None]).squeeze(1), reward)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: {loss.item():.4f}")
