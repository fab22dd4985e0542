"""A polynomial of third degree, learned from a hundred points."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
x = torch.linspace(-1000, 1000, 100).unsqueeze(1)
y = 2 * x**3 + 7 * x**2 - 8 * x + 120
if args.fixed:
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()

model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.MSELoss()
for epoch in range(800):
    prediction = model(x)
    loss = criterion(prediction, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 100 == 0 or epoch < 3:
        print(epoch, f"loss {loss.item():.4g}", flush=True)
print(f"RESULT loss {loss.item():.4g}; of the mean {y.var().item():.4g}")
