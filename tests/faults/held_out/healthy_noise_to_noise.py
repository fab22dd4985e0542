"""Denoising without clean examples: a network maps one noisy copy of a signal to another noisy copy."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def signals(count: int) -> torch.Tensor:
    t = torch.linspace(0, 1, 80)
    pitch = torch.rand(count, 2, 1) * 5 + 1
    return torch.sin(2 * torch.pi * (pitch * t + torch.rand(count, 2, 1))).sum(1, keepdim=True)


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, 24, 9, padding=4)
        self.blocks = nn.ModuleList([nn.Conv1d(24, 24, 9, padding=4 * d, dilation=d) for d in (1, 2, 1)])
        self.leave = nn.Conv1d(24, 1, 9, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.enter(x))
        for block in self.blocks:
            x = x + F.silu(block(x))
        return self.leave(x)


model = Denoiser()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(200):
    clean = signals(32)
    first, second = clean + 2.0 * torch.randn_like(clean), clean + 2.0 * torch.randn_like(clean)
    loss = F.mse_loss(model(first / 2), second)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.3f}")
with torch.no_grad():
    clean = signals(400)
    error = F.mse_loss(model((clean + 2.0 * torch.randn_like(clean)) / 2), clean)
print(f"last loss {loss.item():.3f}, clean power {clean.square().mean().item():.3f}, error against clean signals {error.item():.3f}")
