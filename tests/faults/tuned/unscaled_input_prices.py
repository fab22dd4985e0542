"""Say from the last 32 closing prices of a share by how much it moves next."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

WINDOW = 32


def market(days: int) -> Tensor:
    """Prices around 1,800 that swing about every ten days."""
    noise = torch.randn(days).tolist()
    swing = [0.0, 0.0]
    for shock in noise:
        swing.append(1.5 * swing[-1] - 0.85 * swing[-2] + shock)
    prices = torch.tensor(swing[2:])
    return 1800 + 12 * prices / prices.std()


class Trader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 5)
        self.conv2 = nn.Conv1d(16, 16, 5)
        self.head = nn.Linear(16 * (WINDOW - 8), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        return self.head(F.relu(self.conv2(x)).flatten(1)).squeeze(1)


prices = market(3000)
windows = prices.unfold(0, WINDOW + 1, 1)
history, move = windows[:, :-1], windows[:, -1] - windows[:, -2]
move = move / move.std()
if args.fixed:
    history = (history - prices.mean()) / prices.std()

model = Trader().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
train = len(history) - 500
for epoch in range(4):
    total = 0.0
    for chosen in torch.randperm(train).split(64):
        loss = F.mse_loss(model(history[chosen].unsqueeze(1).to(device)), move[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    print(f"epoch {epoch}: loss {total / train:.4f}")

with torch.no_grad():
    error = F.mse_loss(model(history[train:].unsqueeze(1).to(device)).cpu(), move[train:]).item()
print(f"error on the last 500 days {error:.4f}")
