"""A recurrent network predicts the next tide; the target keeps an axis that the output has lost."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Tides(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1]).squeeze(1)


model = Tides()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(200):
    start = 20 * torch.rand(40, 1)
    level = torch.sin(start + 0.4 * torch.arange(13))
    x, y = level[:, :12, None], level[:, 12:]
    error = model(x) - (y.squeeze(1) if args.fixed else y)
    loss = error.abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
