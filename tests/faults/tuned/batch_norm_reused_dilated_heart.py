"""Rhythm of a heart from one lead: dilated convolutions in residual blocks, normalised before each."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

RHYTHMS = 4


def leads(count: int, length: int = 96) -> tuple[Tensor, Tensor]:
    """Return (count, 1, length) traces with beats of one of four patterns of spacing, and the pattern."""
    kind = torch.randint(0, RHYTHMS, (count,))
    t = torch.arange(length).float()
    trace = 0.3 * torch.randn(count, length)
    for row in range(count):
        at, odd = float(torch.randint(0, 12, ())), False
        while at < length:
            trace[row] += 2.5 * torch.exp(-(((t - at) / 1.5) ** 2))
            odd = not odd
            at += (14.0, 20.0, 10.0 if odd else 24.0, float(torch.randint(8, 32, ())))[kind[row]]
    return trace[:, None], kind


class Block(nn.Module):
    def __init__(self, width: int, dilation: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.relu(self.norm(x)))


class Rhythm(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, width, 7, padding=3)
        norm = nn.BatchNorm1d(width)
        self.blocks = nn.Sequential(*[Block(width, 2**i, nn.BatchNorm1d(width) if args.fixed else norm) for i in range(5)])
        self.head = nn.Linear(width, RHYTHMS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.blocks(self.stem(x))).mean(2))


model = Rhythm()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
x_train, y_train = leads(800)
x_held, y_held = leads(200)
for step in range(150):
    model.train()
    rows = torch.randint(0, len(x_train), (48,))
    loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        model.eval()
        with torch.no_grad():
            logits = model(x_held)
        held, right = F.cross_entropy(logits, y_held).item(), (logits.argmax(1) == y_held).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f} right {right:.3f}")
