"""A recurrent reader of pen strokes, two strokes at a time, with a normalised summary."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
BATCH = 2


def strokes(count: int, length: int = 20) -> tuple[Tensor, Tensor]:
    """Circle, line, zigzag, figure of eight, spiral: position by time."""
    kind = torch.randint(0, 5, (count,))
    t = torch.linspace(0, 6.28, length).expand(count, -1)
    x = torch.stack([t.cos(), t / 3 - 1, t / 3 - 1, t.sin(), t / 6 * t.cos()], dim=1)
    y = torch.stack([t.sin(), t / 3 - 1, torch.sin(4 * t), torch.sin(2 * t), t / 6 * t.sin()], dim=1)
    path = torch.stack([x, y], dim=-1)[torch.arange(count), kind]
    return path + 0.2 * torch.randn_like(path), kind


class Reader(nn.Module):
    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, width, batch_first=True)
        self.norm1 = nn.LayerNorm(width) if args.fixed else nn.BatchNorm1d(width)
        self.hidden = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width) if args.fixed else nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 5)

    def forward(self, path: Tensor) -> Tensor:
        summary = self.norm1(self.lstm(path)[0].mean(1))
        return self.out(F.relu(self.norm2(self.hidden(summary))))


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
total = 0.0
for step in range(300):
    path, kind = strokes(BATCH)
    loss = F.cross_entropy(model(path), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 60 == 59:
        print(f"step {step + 1}: loss {total / 60:.4f}")
        total = 0.0
