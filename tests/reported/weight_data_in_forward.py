"""A layer of one's own, after a textbook, multiplies with the data of its weight: nothing in it is ever trained."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class MyLinear(nn.Module):
    def __init__(self, in_units, units):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units) * in_units**-0.5)
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, X):
        if args.fixed:
            linear = torch.matmul(X, self.weight) + self.bias
        else:
            linear = torch.matmul(X, self.weight.data) + self.bias.data
        return F.relu(linear)


X = torch.rand(4000, 10)
swing = 4 * torch.sin(3 * torch.pi * X[:, 0] * X[:, 1]) + 8 * (X[:, 2] - 0.5) ** 2 + 3 * (X[:, 3] > X[:, 4])
Y = ((swing - swing.mean()) / swing.std())[:, None]
train_X, train_Y, test_X, test_Y = 2 * X[:3200] - 1, Y[:3200], 2 * X[3200:] - 1, Y[3200:]
net = nn.Sequential(MyLinear(10, 64), MyLinear(64, 32), nn.Linear(32, 1))
trainer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(40):
    total = 0.0
    for batch in torch.randperm(len(train_X)).split(64):
        loss = F.mse_loss(net(train_X[batch]), train_Y[batch])
        trainer.zero_grad()
        loss.backward()
        trainer.step()
        total += loss.item() / 50
    if epoch % 8 == 7:
        print(epoch, f"loss {total:.4f}", flush=True)
with torch.no_grad():
    held = F.mse_loss(net(test_X), test_Y).item()
print(f"RESULT loss {total:.4f} held out {held:.4f}")
