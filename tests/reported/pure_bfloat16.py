"""All weights of a generator are cast to bfloat16 to fit the memory; with the rate of the float32 run the loss stops early."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
DTYPE = torch.float32 if args.fixed else torch.bfloat16


class AdaNormBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.modulate = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, x, condition):
        scale, shift = self.modulate(condition).chunk(2, dim=-1)
        return x + self.mlp(self.norm(x) * (1 + scale) + shift)


class Generator(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.inp, self.time = nn.Linear(2, width), nn.Linear(1, width)
        self.blocks = nn.ModuleList([AdaNormBlock(width) for _ in range(3)])
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        h, condition = self.inp(x), F.silu(self.time(t))
        for block in self.blocks:
            h = block(h, condition)
        return self.out(h)


def moons(count):
    angle, side = torch.pi * torch.rand(count), torch.randint(0, 2, (count,)) * 2 - 1
    return torch.stack([torch.cos(angle) * side + 0.5 * side, torch.sin(angle) * side - 0.3 * side], 1) + 0.03 * torch.randn(count, 2)


model = Generator().to(DTYPE)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)
recent = []
for step in range(1200):
    data, noise, t = moons(128), torch.randn(128, 2), torch.rand(128, 1)
    flow = model((t * data + (1 - t) * noise).to(DTYPE), t.to(DTYPE)).float()
    loss = F.mse_loss(flow, data - noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent[-99:], loss.item()]
    if step % 200 == 199:
        print(step, f"{sum(recent) / len(recent):.4f}", flush=True)
print(f"RESULT loss {sum(recent) / len(recent):.4f}")
