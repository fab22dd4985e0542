"""Mean tension of a conveyor belt over a run, from load and drive: a recurrent network of sine units."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Tension(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.enter = nn.Linear(2, width)
        self.memory = nn.Linear(width, width, bias=False)
        self.tension = nn.Linear(width, 1)
        nn.init.orthogonal_(self.memory.weight, gain=0.95 if args.fixed else 3.0)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.memory.in_features)
        for moment in range(x.shape[1]):
            state = torch.sin(self.enter(x[:, moment]) + self.memory(state))
        return self.tension(state).squeeze(1)


def runs(count: int, length: int = 30) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, length, 2)
    weight = 0.9 ** torch.arange(length - 1, -1, -1.0)
    return x, (x[:, :, 0] * weight).sum(1) / 2 + 0.3 * x[:, -1, 1]


model = Tension()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    x, tension = runs(64)
    loss = F.mse_loss(model(x), tension)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f} (variance {tension.var().item():.3f})")
