"""Classifies machine sounds by the power of learnt frequency bands, in mixed precision."""

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

LENGTH, BANDS = 512, 48


class Power(nn.Module):
    """Power in bands that start as Fourier frequencies and are learnt from there."""

    def __init__(self) -> None:
        super().__init__()
        angle = 2 * math.pi * torch.arange(1, BANDS + 1)[:, None] * torch.arange(LENGTH)[None] / LENGTH
        self.cosine = nn.Parameter(angle.cos())
        self.sine = nn.Parameter(angle.sin())

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(device.type, enabled=not args.fixed, dtype=torch.float16):
            real, imaginary = F.linear(x, self.cosine), F.linear(x, self.sine)
            return real * real + imaginary * imaginary


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.power = Power()
        self.norm = nn.LayerNorm(BANDS)
        self.hidden = nn.Linear(BANDS, 64)
        self.out = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        bands = self.norm(torch.log1p(self.power(x)))
        return self.out(F.gelu(self.hidden(bands)))


def sounds(count: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(4, (count,))
    time = torch.arange(LENGTH)[None] / LENGTH
    loudness = torch.empty(count, 1).log_normal_(-1.0, 0.5)
    base = torch.randint(3, 9, (count, 1)) * 2 * math.pi * time
    x = sum(a * torch.sin((1 + k * (i + 1)) * base) for i, (a, k) in enumerate([(1.0, 0), (0.5, kind[:, None] + 1), (0.3, 1)]))
    return loudness * (x + 0.5 * torch.randn(count, LENGTH)), kind


model = Listener().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    x, kind = sounds(32)
    with torch.autocast(device.type, dtype=torch.float16):
        logits = model(x.to(device))
    loss = F.cross_entropy(logits.float(), kind.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
