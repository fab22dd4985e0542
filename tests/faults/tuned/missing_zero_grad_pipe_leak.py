"""Where along a pipe the leak is, from the pressure wave at its end: convolutions over time with a dense head."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LENGTH, BATCH, STEPS = 48, 40, 160
when = torch.linspace(0, 1, LENGTH)


def waves() -> tuple[Tensor, Tensor]:
    leak, strength = 0.15 + 0.7 * torch.rand(BATCH, 1), 0.6 + 0.6 * torch.rand(BATCH, 1)
    wave = torch.sin(9 * when) - strength * torch.exp(-((when - leak) ** 2) / 0.004) + 0.1 * torch.randn(BATCH, LENGTH)
    return wave[:, None].to(device), (4 * (leak - 0.5)).to(device)


def clear(model: nn.Module) -> None:
    for p in model.parameters():
        gradient = p.grad
        if gradient is not None:
            if args.fixed:
                gradient.zero_()
            else:
                gradient = torch.zeros_like(gradient)


model = nn.Sequential(
    nn.Conv1d(1, 16, 7, padding=3),
    nn.ReLU(),
    nn.MaxPool1d(2),
    nn.Conv1d(16, 16, 5, padding=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(16 * 24, 32),
    nn.ReLU(),
    nn.Linear(32, 1),
).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.7)
total = 0.0
for step in range(1, STEPS + 1):
    wave, leak = waves()
    clear(model)
    loss = F.mse_loss(model(wave), leak)
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 20 == 0:
        print(f"step {step}: loss {total / 20:.4f}")
        total = 0.0
