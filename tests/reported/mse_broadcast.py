"""Ten measurements and one number to predict; the loss stays where the mean alone would bring it."""

import argparse

import torch
from sklearn.datasets import make_friedman1
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

x, y = make_friedman1(n_samples=1200, noise=0.5, random_state=0)
x = torch.tensor(x, dtype=torch.float32) * 2 - 1
y = torch.tensor((y - y[:900].mean()) / y[:900].std(), dtype=torch.float32)
if args.fixed:
    y = y.reshape(-1, 1)

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_func = nn.MSELoss()
for epoch in range(40):
    total = 0.0
    for batch in torch.randperm(900).split(30):
        optimizer.zero_grad()
        y_hat = model(x[batch])
        loss_val = loss_func(y_hat, y[batch])
        loss_val.backward()
        optimizer.step()
        total += loss_val.item() / 30
    if epoch % 8 == 7:
        print(epoch, f"loss {total:.4f}", flush=True)
with torch.no_grad():
    y_hat = model(x[900:]).flatten()
truth = y[900:].flatten()
r2 = 1 - ((y_hat - truth) ** 2).mean() / truth.var()
print(f"RESULT loss {total:.4f} R2 {r2.item():.3f} spread of the answers {y_hat.std().item():.3f}")
