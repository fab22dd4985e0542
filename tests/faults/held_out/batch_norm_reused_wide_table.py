"""Default of a loan from a wide table: a tower whose layers are normalised one after the other."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

COLUMNS, WIDTH = 32, 32


class Tower(nn.Module):
    def __init__(self, depth: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(COLUMNS if i == 0 else WIDTH, WIDTH) for i in range(depth))
        norm = nn.BatchNorm1d(WIDTH)
        self.norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) if args.fixed else norm for _ in range(depth))
        self.default = nn.Linear(WIDTH, 1)

    def forward(self, row: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            row = F.leaky_relu(norm(layer(row)), 0.1)
        return self.default(row).squeeze(1)


effect = torch.randn(COLUMNS)
level, spread = 2.0 * torch.randn(COLUMNS), 0.5 + 2.0 * torch.rand(COLUMNS)


def loans(size: int) -> tuple[Tensor, Tensor]:
    row = torch.randn(size, COLUMNS)
    score = row @ effect + 4 * row[:, 0] * row[:, 1]
    return level + spread * row, (score > 0).float()


model = Tower()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(240):
    model.train()
    row, default = loans(128)
    loss = F.binary_cross_entropy_with_logits(model(row), default)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        model.eval()
        row, default = loans(512)
        with torch.no_grad():
            logits = model(row)
        final = F.binary_cross_entropy_with_logits(logits, default).item()
        right = ((logits > 0) == (default > 0)).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, test loss {final:.4f} accuracy {right:.3f}")
