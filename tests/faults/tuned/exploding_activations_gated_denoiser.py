"""A small diffusion model of two-dimensional spirals: gated linear units predict the noise."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class GatedUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        self.value = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(inputs, outputs)
        nn.init.normal_(self.value.weight, std=gain / math.sqrt(inputs))
        nn.init.zeros_(self.value.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


gain = 1.9 if args.fixed else 4.2
model = nn.Sequential(*(GatedUnit(8 if i == 0 else 96, 96, gain) for i in range(9)), nn.Linear(96, 2)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def spirals(count: int) -> Tensor:
    turn = 3 * math.pi * torch.rand(count).sqrt()
    return torch.stack([turn * turn.cos(), turn * turn.sin()], 1) / 5 + 0.03 * torch.randn(count, 2)


for step in range(200):
    x, noise, t = spirals(128), torch.randn(128, 2), torch.rand(128, 1)
    noisy = torch.cos(math.pi / 2 * t) * x + torch.sin(math.pi / 2 * t) * noise
    times = torch.cat([f(k * math.pi * t) for k in (0.5, 1, 2) for f in (torch.sin, torch.cos)], 1)
    loss = F.mse_loss(model(torch.cat([noisy, times], 1).to(device)), noise.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4g}")
