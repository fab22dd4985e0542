"""Where a town's water pipes leak, from pressures at the nodes: rounds of messages along the pipes."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

NODES, ROUNDS = 24, 8
town = torch.Generator().manual_seed(4)
pipes = (torch.rand(NODES, NODES, generator=town) < 0.1).float().triu(1)
pipes = pipes + pipes.T
near = pipes / pipes.sum(1, keepdim=True).clamp(min=1)


class Round(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, width)
        self.around = nn.Linear(inputs, width, bias=False)
        self.squash = nn.Tanh()
        for layer in (self.own, self.around):
            nn.init.normal_(layer.weight, std=inputs**-0.5 if args.fixed else 0.04)
        nn.init.zeros_(self.own.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.squash(self.own(x) + self.around(near @ x))


class Leaks(nn.Module):
    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.rounds = nn.ModuleList([Round(2 if i == 0 else width, width) for i in range(ROUNDS)])
        self.leak = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.rounds:
            x = layer(x)
        return self.leak(x).squeeze(2)


def nights(count: int) -> tuple[Tensor, Tensor]:
    """Return pressure drop and use at each node, and whether it leaks."""
    leak = (torch.rand(count, NODES) < 0.3).float()
    use = torch.randn(count, NODES)
    drop = 1.5 * leak + 0.5 * leak @ near.T + use + 0.5 * use @ near.T + 0.05 * torch.randn(count, NODES) - 0.6
    return torch.stack([drop, use], 2), leak


model = Leaks()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for step in range(250):
    x, leak = nights(24)
    logits = model(x)
    loss = F.binary_cross_entropy_with_logits(logits, leak)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f} right {((logits > 0) == (leak > 0)).float().mean().item():.3f}")
