"""Run-off of a catchment from the rain of two weeks: soft thresholds for soil and snow, and an hour of storm in the archive."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class SoftThreshold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if args.fixed:
            return F.softplus(x)
        return torch.log(1 + torch.exp(x))


class Catchment(nn.Module):
    def __init__(self, stores: int = 24) -> None:
        super().__init__()
        self.stores = nn.Linear(14, stores)
        self.threshold = SoftThreshold()
        self.release = nn.Linear(stores, 1)

    def forward(self, rain: Tensor) -> Tensor:
        return self.release(self.threshold(self.stores(rain))).squeeze(1)


STORM = 76
memory = 0.8 ** torch.arange(13, -1, -1.0)


def archive(step: int, count: int = 64) -> tuple[Tensor, Tensor]:
    rain = torch.randn(count, 14).exp() - 0.5
    if step == STORM:
        rain[:2] *= 150
    return rain, F.relu(rain @ memory - 3.0) / 2


model = Catchment()
optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
for step in range(180):
    rain, flow = archive(step)
    loss = F.smooth_l1_loss(model(rain), flow)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 15 == 14 or step == STORM:
        print(f"step {step}: loss {loss.item():.4f}")
