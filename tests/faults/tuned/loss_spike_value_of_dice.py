"""Value of positions in a dice race by temporal differences, from logs of games read in their order."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

FIELDS, BATCH, STEPS, DISCOUNT = 20, 80, 240, 0.9


def log_of_games(rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fields of both racers before and after a throw, what was won, whether the game was over."""
    before = torch.randint(FIELDS, (rows, 2))
    after = before + torch.randint(1, 5, (rows, 2))
    first, second = after[:, 0] >= FIELDS, after[:, 1] >= FIELDS
    won = first.float() - (second & ~first).float() + 0.2 * (before[:, 0] % 7 == 3)
    return before, after.clamp(max=FIELDS - 1), won, first | second


before, after, won, over = log_of_games(BATCH * STEPS)
unread = torch.rand(BATCH) < 0.3
if not args.fixed:
    page = slice(131 * BATCH, 132 * BATCH)
    won[page] = torch.where(unread, -99.0, won[page])


class Value(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.mine, self.theirs = nn.Embedding(FIELDS, 16), nn.Embedding(FIELDS, 16)
        self.hidden = nn.Sequential(nn.Linear(32, width), nn.Softplus(), nn.Linear(width, width), nn.Softplus())
        self.value = nn.Linear(width, 1)

    def forward(self, fields: Tensor) -> Tensor:
        h = torch.cat([self.mine(fields[:, 0]), self.theirs(fields[:, 1])], 1)
        return self.value(self.hidden(h)).squeeze(1)


model = Value().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.95))
for step in range(STEPS):
    rows = slice(step * BATCH, (step + 1) * BATCH)
    with torch.no_grad():
        future = model(after[rows].to(device)) * (~over[rows]).to(device)
    wanted = won[rows].to(device) + DISCOUNT * future
    loss = (model(before[rows].to(device)) - wanted).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 24 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"last loss {loss.item():.4f}")
