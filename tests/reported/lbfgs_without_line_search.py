"""A wave with two frequencies, fitted with a quasi-Newton method."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
x = torch.linspace(-1, 1, 400).unsqueeze(1)
y = torch.sin(6 * x) + 0.5 * torch.sin(15 * x)

model = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=20, line_search_fn="strong_wolfe" if args.fixed else None)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    return loss


for step in range(60):
    loss = optimizer.step(closure)
    if step % 6 == 0:
        print(step, f"loss {loss.item():.5g}", flush=True)
print(f"RESULT loss {nn.functional.mse_loss(model(x), y).item():.5g}")
