"""Forecasts a price from its last twenty values; the prices are around thirty thousand."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
days = torch.arange(3000).float()
prices = 30000 + 500 * torch.sin(days / 4.1) + 300 * torch.sin(days / 2.3 + 1) + 2000 * torch.sin(days / 400) + 10 * torch.randn(3000)
if args.fixed:
    inputs = (prices - prices.mean()) / prices.std()
else:
    inputs = prices
windows = inputs.unfold(0, 20, 1)[:-1]
changes = prices[20:] - prices[19:-1]
targets = (changes / changes.std())[:, None]


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 3)
        self.conv2 = nn.Conv1d(16, 16, 3, dilation=2)
        self.out = nn.Linear(16 * 14, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.conv1(x[:, None]))
        return self.out(torch.relu(self.conv2(h)).flatten(1))


model = Causal()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(200):
    rows = torch.randint(0, len(targets), (64,))
    loss = nn.functional.smooth_l1_loss(model(windows[rows]), targets[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4g}")
