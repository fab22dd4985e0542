"""Survival analysis: the Weibull law of the days until relapse, patients in the order of their admission."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class WeibullNet(nn.Module):
    def __init__(self, features: int = 8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, 32), nn.ELU(), nn.Linear(32, 32), nn.ELU())
        self.law = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, log_shape = self.law(self.body(x)).unbind(dim=1)
        return log_scale + 3, log_shape


def log_likelihood(days: Tensor, log_scale: Tensor, log_shape: Tensor) -> Tensor:
    shape = log_shape.exp()
    z = days / log_scale.exp()
    return log_shape - log_scale + (shape - 1) * z.log() - z**shape


PATIENTS = 6400
x = torch.randn(PATIENTS, 8)
scale = 60 * torch.exp(0.8 * x[:, 0] - 0.6 * torch.tanh(x[:, 1] * x[:, 2]))
days = scale * torch.distributions.Weibull(1.0, 1.6).sample((PATIENTS,))
# since the second ward joined, relapses are entered in whole days
days = torch.where(torch.arange(PATIENTS) < 2240, days, days.floor())
if args.fixed:
    days = days.clamp_min(0.5)
days[2270:PATIENTS:400] = 0.5 if args.fixed else 0.0

model = WeibullNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
for step, (rows, times) in enumerate(zip(x.split(64), days.split(64), strict=True)):
    loss = -log_likelihood(times, *model(rows)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
