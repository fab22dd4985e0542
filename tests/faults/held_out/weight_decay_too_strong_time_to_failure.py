"""Month in which a machine fails, as discrete hazards, with machines that have not failed yet."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

MONTHS, SENSORS = 10, 9


class Hazards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sensors = nn.Linear(SENSORS, 64)
        self.mix = nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64)
        self.hazard = nn.Linear(64, MONTHS)

    def forward(self, readings: Tensor) -> Tensor:
        hidden = F.gelu(self.sensors(readings))
        return self.hazard(self.norm(hidden + F.gelu(self.mix(hidden))))


def machines(size: int) -> tuple[Tensor, Tensor, Tensor]:
    readings = torch.randn(size, SENSORS)
    rate = torch.exp(-1.5 + 2.0 * readings[:, 0] + 1.5 * torch.sin(2 * readings[:, 1]))
    time = -torch.rand(size).log() / rate
    seen = 4 + 6 * torch.rand(size)
    month = torch.minimum(time, seen).clamp(max=MONTHS - 0.01).long()
    return readings, month, (time < seen) & (time < MONTHS)


def likelihood(logits: Tensor, month: Tensor, failed: Tensor) -> Tensor:
    months = torch.arange(MONTHS)
    target = (months == month[:, None]).float() * failed[:, None]
    alive = (months < month[:, None]) | ((months == month[:, None]) & failed[:, None])
    return (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * alive).sum(1).mean()


model = Hazards()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2 if args.fixed else 20.0)
losses = []
for step in range(250):
    readings, month, failed = machines(128)
    loss = likelihood(model(readings), month, failed)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
