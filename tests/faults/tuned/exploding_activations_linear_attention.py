"""A transformer with linear attention labels every point of a noisy series."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


LENGTH, KINDS = 48, 4


def series(n: int) -> tuple[Tensor, Tensor]:
    """Every stretch of eight points has a slope; which of four is the label."""
    kind = torch.randint(KINDS, (n, LENGTH // 8))
    slope = (kind.float() - 1.5).repeat_interleave(8, dim=1)
    return (torch.cumsum(slope, dim=1) / 8 + 0.05 * torch.randn(n, LENGTH)), kind.repeat_interleave(8, dim=1)


class LinearAttention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k = F.elu(self.query(h)) + 1, F.elu(self.key(h)) + 1
        out = q @ (k.transpose(1, 2) @ self.value(x))
        if args.fixed:
            out = out / (q @ k.sum(1).unsqueeze(-1))
        return out


class Labeller(nn.Module):
    def __init__(self, width: int = 32, depth: int = 4):
        super().__init__()
        self.enter = nn.Conv1d(1, width, 5, padding=2)
        self.attentions = nn.ModuleList(LinearAttention(width) for _ in range(depth))
        self.mixes = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(depth))
        self.kind = nn.Linear(width, KINDS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x.unsqueeze(1)).transpose(1, 2)
        for attention, mix in zip(self.attentions, self.mixes, strict=True):
            x = x + attention(x)
            x = x + F.relu(mix(x.transpose(1, 2))).transpose(1, 2)
        return self.kind(x)


model = Labeller()
optimizer = torch.optim.RAdam(model.parameters(), lr=6e-3)
for step in range(160):
    x, kind = series(32)
    loss = F.cross_entropy(model(x).flatten(0, 1), kind.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
