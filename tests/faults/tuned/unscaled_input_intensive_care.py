"""Warns of a crisis from a day of measurements in intensive care: convolutions over time, one channel for every measured value."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
# heart rate per minute, systolic pressure in mmHg, platelets per microlitre, creatinine in mg/dl, oxygen saturation in percent
USUAL = torch.tensor([82.0, 121.0, 245000.0, 0.95, 96.5]).reshape(1, 5, 1)
SPREAD = torch.tensor([14.0, 17.0, 60000.0, 0.3, 1.8]).reshape(1, 5, 1)


def patients(n: int, hours: int = 24) -> tuple[Tensor, Tensor]:
    level = torch.randn(n, 5, 1)
    drift = torch.randn(n, 5, 1)
    values = level + drift * torch.linspace(0, 1, hours) + 0.3 * torch.randn(n, 5, hours)
    danger = drift[:, 0, 0] - drift[:, 1, 0] + drift[:, 3, 0] - drift[:, 4, 0]
    return USUAL + SPREAD * values, (danger > 0).float()


class Warner(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(5, width, 5, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.conv3 = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.crisis = nn.Linear(6 * width, 1)

    def forward(self, values: Tensor) -> Tensor:
        h = F.elu(self.conv1(values))
        h = F.elu(self.conv2(h))
        h = F.elu(self.conv3(h))
        return self.crisis(h.flatten(1)).squeeze(1)


model = Warner()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
losses, hits = [], []
for step in range(200):
    values, crisis = patients(64)
    if args.fixed:
        values = (values - USUAL) / SPREAD
    answer = model(values)
    loss = F.binary_cross_entropy_with_logits(answer, crisis)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append(((answer > 0) == (crisis > 0)).float().mean().item())
    if step % 20 == 19:
        print(f"step {step + 1}: loss {sum(losses[-20:]) / 20:.4f} right {sum(hits[-20:]) / 20:.3f}")
