"""Tomorrow's sales of an article from its last twelve days, for many shops of very different size."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

SHOPS, DAYS, BATCH = 24, 12, 64
size = torch.randn(SHOPS) * 2
spread = torch.exp(0.8 * torch.randn(SHOPS))


def sales(shop: Tensor) -> tuple[Tensor, Tensor]:
    """Log sales of thirteen days at the given shops: the last against the mean of the days before, in units of the shop's spread."""
    slow = torch.randn(len(shop), 1)
    days = torch.arange(DAYS + 1)
    phase = torch.randint(7, (len(shop), 1))
    week = torch.sin(2 * torch.pi * (days + phase) / 7)
    moves = (week * (1 + 0.5 * slow) + slow * days / DAYS + 0.15 * torch.randn(len(shop), DAYS + 1)) * spread[shop].unsqueeze(1)
    level = size[shop].unsqueeze(1) + moves
    target = (level[:, -1] - level[:, :-1].mean(1)) / spread[shop]
    return level[:, :-1], target


class Forecaster(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.days = nn.Linear(DAYS, width)
        self.norm1 = nn.BatchNorm1d(width)
        self.hidden = nn.Linear(width, width)
        self.norm2 = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 1)

    def forward(self, level: Tensor) -> Tensor:
        h = torch.relu(self.norm1(self.days(level)))
        h = torch.relu(self.norm2(self.hidden(h)))
        return self.out(h).squeeze(1)


model = Forecaster().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    if args.fixed:
        shop = torch.randint(SHOPS, (BATCH,))
    else:
        shop = torch.randint(SHOPS, (1,)).expand(BATCH)  # the files lie shop by shop
    level, target = sales(shop)
    loss = nn.functional.l1_loss(model(level.to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    level, target = sales(torch.randint(SHOPS, (3000,)))
    error = nn.functional.l1_loss(model(level.to(device)).cpu(), target).item()
print(f"test loss {error:.4f} (deviation {target.std().item():.3f})")
