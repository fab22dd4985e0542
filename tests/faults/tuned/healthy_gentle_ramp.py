"""The larger of two marked numbers in a row: hand-written attention whose rate climbs for most of the run."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LENGTH, WIDTH = 10, 32


class Look(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ask, self.key, self.value, self.merge = (nn.Parameter(torch.randn(WIDTH, WIDTH) / WIDTH**0.5) for _ in range(4))
        self.up = nn.Parameter(torch.randn(WIDTH, 64) / WIDTH**0.5)
        self.down = nn.Parameter(torch.randn(64, WIDTH) / 8)

    def forward(self, x: Tensor) -> Tensor:
        h = F.layer_norm(x, (WIDTH,))
        share = torch.softmax((h @ self.ask) @ (h @ self.key).transpose(1, 2) / WIDTH**0.5, 2)
        x = x + share @ (h @ self.value) @ self.merge
        return x + F.gelu(F.layer_norm(x, (WIDTH,)) @ self.up) @ self.down


class Larger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(3, WIDTH) * 0.5)
        self.looks = nn.ModuleList(Look() for _ in range(2))
        self.leave = nn.Parameter(torch.zeros(WIDTH, 1))

    def forward(self, rows: Tensor) -> Tensor:
        h = rows @ self.enter
        for look in self.looks:
            h = look(h)
        return (F.layer_norm(h.mean(1), (WIDTH,)) @ self.leave).squeeze(1)


def rows(count: int) -> tuple[Tensor, Tensor]:
    numbers = torch.randn(count, LENGTH)
    marks = torch.zeros(count, LENGTH).scatter_(1, torch.rand(count, LENGTH).topk(2, 1).indices, 1.0)
    larger = numbers.masked_fill(marks == 0, -1e9).amax(1)
    return torch.stack([numbers, marks, torch.ones_like(marks)], 2), larger


model = Larger()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 200))
total = 0.0
for step in range(280):
    x, larger = rows(64)
    loss = F.mse_loss(model(x), larger)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    ramp.step()
    total += loss.item()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {total / 40:.4f}")
        total = 0.0
