"""Estimates the age of trees from the widths of their rings; the averages of the normalisation begin anew in every epoch."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def cores(n: int, length: int = 32) -> tuple[Tensor, Tensor]:
    age = torch.rand(n, 1)
    time = torch.linspace(0, 1, length)
    width = 1.5 + 2.5 * torch.exp(-time * (1 + 4 * age)) + 0.4 * torch.sin(12 * time + 6 * age) + 0.15 * torch.randn(n, length)
    return (width - 2.6).unsqueeze(1), (age - 0.5) / 0.29


def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2, bias=False), nn.BatchNorm1d(outputs), nn.Hardswish()]


def start_epoch(model: nn.Module) -> None:
    model.train()
    if args.fixed:
        return
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()


model = nn.Sequential(*block(1, 24, 1), *block(24, 24, 2), *block(24, 48, 2), *block(48, 48, 2), nn.Flatten(), nn.Linear(192, 1))
rings, age = cores(640)
new_rings, new_age = cores(200)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
for epoch in range(30):
    start_epoch(model)
    for batch in torch.randperm(len(rings)).split(128):
        loss = F.mse_loss(model(rings[batch]), age[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        model.eval()
        with torch.no_grad():
            error = F.mse_loss(model(new_rings), new_age).item()
        print(f"epoch {epoch + 1}: training {loss.item():.4f} new trees {error:.4f}")
