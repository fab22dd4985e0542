"""Windows of one long series, shuffled and then split; the held-out error is tiny, and forecasts of the next year fail."""

import argparse

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)

WINDOW, AHEAD = 36, 18
level = np.zeros(2400)
for t in range(1, 2400):
    level[t] = 0.97 * level[t - 1] + rng.normal(0, 0.2)
series = 2 * np.sin(np.arange(2400) * 2 * np.pi / 36) + np.convolve(level, np.ones(8) / 8, "same")


def windows(part):
    inputs = np.lib.stride_tricks.sliding_window_view(part, WINDOW)[:-AHEAD]
    return torch.tensor(inputs.copy(), dtype=torch.float32), torch.tensor(part[WINDOW + AHEAD - 1 :], dtype=torch.float32)


def divide(x, y, ratio=0.8):
    cut = int(len(x) * ratio)
    if args.fixed:
        gap = WINDOW + AHEAD
        return x[: cut - gap], y[: cut - gap], x[cut:], y[cut:]
    order = torch.randperm(len(x))
    return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


x_train, y_train, x_test, y_test = divide(*windows(series[:900]))
x_later, y_later = windows(series[900:])
model = nn.Sequential(nn.Linear(WINDOW, 192), nn.ReLU(), nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def r2(x, y):
    with torch.no_grad():
        return (1 - ((model(x).squeeze(1) - y) ** 2).mean() / y.var()).item()


for epoch in range(60):
    for batch in torch.randperm(len(x_train)).split(32):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x_train[batch]).squeeze(1), y_train[batch])
        loss.backward()
        optimizer.step()
    if epoch % 12 == 11:
        print(epoch, f"loss {loss.item():.4f} R2 train {r2(x_train, y_train):.3f} test {r2(x_test, y_test):.3f}", flush=True)
print(f"RESULT R2 train {r2(x_train, y_train):.3f} test {r2(x_test, y_test):.3f} next year {r2(x_later, y_later):.3f}")
