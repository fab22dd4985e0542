"""Power of heat pumps from house, model and weather: codes for the categories, updated by a few lines of our own."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

MODELS, HOUSES = 12, 30


class Power(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.pump = nn.Embedding(MODELS, 8)
        self.house = nn.Embedding(HOUSES, 8)
        self.body = nn.Sequential(nn.Linear(18, width), nn.Softplus(), nn.Linear(width, width), nn.Softplus(), nn.Linear(width, 1))

    def forward(self, pump: Tensor, house: Tensor, weather: Tensor) -> Tensor:
        return self.body(torch.cat([self.pump(pump), self.house(house), weather], 1)).squeeze(1)


class Descent(torch.optim.Optimizer):
    """Plain gradient descent with a warm start of the rate."""

    def __init__(self, params, rate: float, warm: int) -> None:
        super().__init__(params, {"rate": rate, "warm": warm})
        self.count = 0

    @torch.no_grad()
    def step(self) -> None:
        self.count += 1
        for group in self.param_groups:
            rate = group["rate"] * min(1.0, self.count / group["warm"])
            for p in group["params"]:
                p.sub_(rate * p.grad)


efficiency, loss_of_heat = 0.5 + torch.rand(MODELS), 0.5 + torch.rand(HOUSES)


def log(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    pump, house, weather = torch.randint(0, MODELS, (count,)), torch.randint(0, HOUSES, (count,)), torch.randn(count, 2)
    power = loss_of_heat[house] * F.softplus(1 - weather[:, 0] + 0.3 * weather[:, 1]) / efficiency[pump]
    return pump, house, weather, power - 1.4


model = Power()
optimizer = Descent(model.parameters(), rate=0.08, warm=10)
for step in range(300):
    pump, house, weather, power = log(128)
    loss = F.mse_loss(model(pump, house, weather), power)
    if args.fixed:
        optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
