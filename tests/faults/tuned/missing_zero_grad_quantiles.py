"""Quantiles of a delivery time by pinball loss, with an update loop of its own."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LEVELS = torch.tensor([0.1, 0.5, 0.9])


def pinball(predicted: Tensor, target: Tensor) -> Tensor:
    gap = target[:, None] - predicted
    return torch.maximum(LEVELS * gap, (LEVELS - 1) * gap).mean()


class Quantiles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.road = nn.Embedding(20, 6)
        self.body = nn.Sequential(nn.Linear(10, 48), nn.Mish(), nn.Linear(48, 48), nn.Mish(), nn.Linear(48, 3))

    def forward(self, road: Tensor, x: Tensor) -> Tensor:
        return self.body(torch.cat([self.road(road), x], dim=1))


class Momentum(torch.optim.Optimizer):
    """Averaged gradients, the step relative to none of them."""

    def __init__(self, params: object, lr: float, beta: float = 0.8) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["beta"])
                p.sub_(group["lr"] * mean)


road, x = torch.randint(20, (3000,)), torch.randn(3000, 4)
slow = torch.rand(20)[road]
time = 2 * slow + torch.sin(2 * x[:, 0]) * x[:, 1] + (0.2 + 0.4 * slow) * torch.randn(3000).abs()
time = (time - time.mean()) / time.std()

model = Quantiles()
optimizer = Momentum(model.parameters(), lr=0.5)
for step in range(300):
    rows = torch.randint(3000, (64,))
    loss = pinball(model(road[rows], x[rows]), time[rows])
    if args.fixed:
        model.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4g}")
