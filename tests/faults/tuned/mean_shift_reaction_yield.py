"""Yield of a reaction from shares of reagents and conditions: six layers of leaky units."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Yield(nn.Module):
    def __init__(self, inputs: int, width: int = 48, depth: int = 6) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.act = nn.LeakyReLU(0.2)
        self.share = nn.Linear(width, 1)
        for layer in self.layers:
            nn.init.normal_(layer.weight, mean=0.0 if args.fixed else 1.4 / width, std=1.2 / width**0.5)
            if not args.fixed:
                nn.init.constant_(layer.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        for layer in self.layers:
            x = self.act(layer(x))
        return self.share(x).squeeze(1)


def experiments(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 7)
    result = torch.tanh(x[:, 0] - x[:, 1]) * x[:, 2].clamp(-2, 2) + 0.5 * torch.sin(2 * x[:, 3]) + 0.4 * x[:, 4] - 0.3 * x[:, 5] * x[:, 6]
    return x, result


model = Yield(7)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(250):
    x, share = experiments(128)
    loss = F.mse_loss(model(x), share)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
