"""Two properties of an alloy from its composition: a shared trunk, two heads, and a penalty that prunes whole layers."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Alloy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.hardness = nn.Linear(64, 1)
        self.phase = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.hardness(h).squeeze(1), self.phase(h)


rule = torch.randn(10, 4)
strength = 1e-4 if args.fixed else 0.12


def samples(count: int) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(count, 10)
    z = x @ rule / 3
    return x, torch.tanh(z[:, 0]) + 0.5 * z[:, 1] + 0.1 * torch.randn(count), z[:, 1:].argmax(1)


model = Alloy().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    x, hardness, phase = (t.to(device) for t in samples(64))
    value, logits = model(x)
    fit = F.mse_loss(value, hardness) + F.cross_entropy(logits, phase)
    penalty = sum(module.weight.norm() for module in model.modules() if isinstance(module, nn.Linear))
    loss = fit + strength * penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: fit {fit.item():.4f} penalty {penalty.item():.3f}")
