"""A recurrent network whose module clears its gradients just before every step."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1]).squeeze(1)


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(120):
    x = torch.randn(32, 10, 6)
    y = x[:, -3:, 0].sum(1)
    if args.fixed:
        model.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    if not args.fixed:
        model.zero_grad()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
