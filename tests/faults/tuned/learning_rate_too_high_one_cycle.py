"""Next value of coupled oscillations: dilated causal convolutions under a one-cycle schedule."""

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

STEPS = 200


class Causal(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inlet = nn.Conv1d(2, channels, 1)
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, 2, dilation=2**i) for i in range(5))
        self.outlet = nn.Conv1d(channels, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for conv in self.convs:
            x = x + F.gelu(conv(F.pad(x, (conv.dilation[0], 0))))
        return self.outlet(x)


def oscillations(count: int, length: int = 49) -> Tensor:
    t = torch.arange(length)[None]
    a, b = 0.2 + 0.4 * torch.rand(count, 1), 0.2 + 0.4 * torch.rand(count, 1)
    p, q = 2 * math.pi * torch.rand(2, count, 1)
    first, second = torch.sin(a * t + p), torch.sin(b * t + q)
    return torch.stack([first + 0.5 * second, second - 0.5 * first], 1) + 0.02 * torch.randn(count, 2, length)


model = Causal(24).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
peak = 2e-2 if args.fixed else 0.6
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=STEPS, pct_start=0.4)
for step in range(STEPS):
    x = oscillations(32).to(device)
    loss = F.mse_loss(model(x[..., :-1])[..., 8:], x[..., 9:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.5f}")
