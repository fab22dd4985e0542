"""A gated network with hard sigmoids for the gates, on a regression with interactions."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
WIDTH = 96


class Gated(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.value = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(inputs, outputs)
        self.squash = nn.Tanh()
        self.open = nn.Sigmoid()
        for layer in (self.value, self.gate):
            nn.init.normal_(layer.weight, std=inputs**-0.5 if args.fixed else 2.0)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.squash(self.value(x)) * self.open(self.gate(x))


mixing = torch.randn(12, 3)


def draw(n: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 12)
    z = x @ mixing / 12**0.5
    return x, (z[:, :1] * z[:, 1:2] + torch.sin(2 * z[:, 2:])) / 1.2


model = nn.Sequential(Gated(12, WIDTH), Gated(WIDTH, WIDTH), Gated(WIDTH, WIDTH), nn.Linear(WIDTH, 1))
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
held_x, held_y = draw(512)
for step in range(200):
    x, y = draw(128)
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        with torch.no_grad():
            print(f"step {step + 1}: loss {loss.item():.4f}, held out {nn.functional.mse_loss(model(held_x), held_y).item():.4f}")
