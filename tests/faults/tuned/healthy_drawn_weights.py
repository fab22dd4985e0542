"""Weights drawn from their posterior: Langevin steps with noise of the size that the rate asks for, on a small regression."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

COUNT, BATCH, STEPS, RATE, SPREAD = 600, 60, 300, 6e-5, 0.3
x = torch.rand(COUNT, 2) * 4 - 2
y = torch.sin(2 * x[:, :1]) + 0.5 * x[:, 1:] + SPREAD * torch.randn(COUNT, 1)
x, y = x.to(device), y.to(device)


class Curve(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.one, self.two, self.value = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(torch.tanh(self.two(torch.tanh(self.one(x)))))


class Langevin(torch.optim.Optimizer):
    """p <- p - rate / 2 * gradient + sqrt(rate) * noise."""

    def __init__(self, params, lr: float):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(p.grad, alpha=group["lr"] / 2).add_(torch.randn_like(p), alpha=group["lr"] ** 0.5)


model = Curve().to(device)
optimizer = Langevin(model.parameters(), lr=RATE)
total = 0.0
for step in range(1, STEPS + 1):
    rows = torch.randint(COUNT, (BATCH,), device=device)
    error = (model(x[rows]) - y[rows]) ** 2
    prior = sum((p**2).sum() for p in model.parameters())
    loss = COUNT * error.mean() / (2 * SPREAD**2) + 0.5 * prior
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += error.mean().item()
    if step % 30 == 0:
        print(f"step {step}: squared error {total / 30:.4f}")
        total = 0.0
