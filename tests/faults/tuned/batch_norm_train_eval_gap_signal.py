"""Recognises the frequency band of a signal; the running statistics move by a thousandth a step."""

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


def signals(n: int, length: int = 48) -> tuple[Tensor, Tensor]:
    band = torch.randint(0, 5, (n,))
    rate = 2 + 2.5 * (band[:, None] + torch.rand(n, 1) * 0.7)
    time = torch.linspace(0, 1, length)
    wave = torch.sin(2 * math.pi * (rate * time + torch.rand(n, 1)))
    return (wave + 0.4 * torch.randn(n, length))[:, None], band


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 7, padding=3, stride=2)
        self.norm = nn.BatchNorm1d(outputs, momentum=0.2 if args.fixed else 0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.1)


model = nn.Sequential(Block(1, 16), Block(16, 24), Block(24, 32), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, 5))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
held_x, held_band = signals(300)
for epoch in range(5):
    model.train()
    for _ in range(24):
        x, band = signals(48)
        loss = F.cross_entropy(model(x), band)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        output = model(held_x)
    held_loss = F.cross_entropy(output, held_band).item()
    accuracy = (output.argmax(1) == held_band).float().mean().item()
    print(f"epoch {epoch}: train {loss.item():.4f}, held out {held_loss:.4f}, accuracy {accuracy:.3f}")
