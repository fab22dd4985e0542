"""A training function makes its optimizer anew at each call: Adagrad forgets what it has seen, and every step is as long as the first."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
data = load_diabetes()
x = torch.tensor(data.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(data.target, dtype=torch.float32)[:, None]
y = (y - y.mean()) / y.std()
model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
kept = torch.optim.Adagrad(model.parameters(), lr=0.1)


def train(inputs, outputs):
    optimizer = kept if args.fixed else torch.optim.Adagrad(model.parameters(), lr=0.1)
    loss = F.mse_loss(model(inputs), outputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


for epoch in range(40):
    total = 0.0
    for batch in torch.randperm(352).split(32):
        total += train(x[batch], y[batch]) / 11
    if epoch % 8 == 7:
        error = F.mse_loss(model(x[352:]), y[352:]).item()
        print(epoch, f"loss {total:.4f} held out {error:.4f}", flush=True)
print(f"RESULT loss {total:.4f} held out {error:.4f}")
