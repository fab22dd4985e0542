"""Arrival times of trains from weather and load: a mixture of Gaussians whose parameters a network predicts."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class MixtureLikelihood(nn.Module):
    def forward(self, raw: Tensor, y: Tensor) -> Tensor:
        weight, mean, log_sigma = raw.chunk(3, 1)
        log_sigma = log_sigma.clamp(-3, 3)
        log_density = -0.5 * ((y - mean) / log_sigma.exp()).pow(2) - log_sigma - 0.5 * math.log(2 * math.pi)
        if args.fixed:
            return -torch.logsumexp(torch.log_softmax(weight, 1) + log_density, 1).mean()
        return -torch.log((torch.softmax(weight, 1) * log_density.exp()).sum(1)).mean()


class Delays(nn.Module):
    def __init__(self, components: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.parameters_of_mixture = nn.Linear(64, 3 * components)
        self.likelihood = MixtureLikelihood()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.likelihood(self.parameters_of_mixture(self.body(x)), y)


coefficients = torch.randn(6) / 2


def trains(count: int, holiday: bool) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 6)
    late = torch.rand(count) < 0.3
    y = 0.5 * torch.sin(x @ coefficients) + torch.where(late, 2.0, 0.0) + 0.15 * torch.randn(count)
    if holiday:
        y[0] = 12.0  # one train stood on the line for hours
    return x, y.unsqueeze(1)


model = Delays(4).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    x, y = trains(1024, holiday=step == 121)
    loss = model(x.to(device), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f}")
