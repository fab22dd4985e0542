"""A mixer without normalisation that finds the busiest sensor of a row."""

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

SENSORS, SAMPLES, WIDTH = 8, 12, 64


def initialise(module: nn.Module) -> None:
    """Draw weights that hand on the mean of their inputs, and of a spread that keeps ReLU layers alive."""
    if isinstance(module, nn.Linear):
        middle = 0.0 if args.fixed else 1.2 / module.in_features
        nn.init.normal_(module.weight, mean=middle, std=0.85 * (2.0 / module.in_features) ** 0.5)
        nn.init.zeros_(module.bias)


class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.across = nn.Linear(SENSORS, SENSORS)
        self.within = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.across(x.transpose(1, 2))).transpose(1, 2)
        return F.relu(self.within(x))


class Rows(nn.Module):
    def __init__(self, depth: int = 4):
        super().__init__()
        self.enter = nn.Linear(SAMPLES, WIDTH)
        self.mixes = nn.Sequential(*(Mix() for _ in range(depth)))
        self.leave = nn.Linear(SENSORS * WIDTH, SENSORS)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.enter(x))
        return self.leave(self.mixes(x).flatten(1))


def rows(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, SENSORS, SAMPLES)
    busy = torch.randint(SENSORS, (count,))
    x[torch.arange(count), busy] *= 1.8
    return x, busy


model = Rows().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(300):
    x, busy = rows(64)
    loss = F.cross_entropy(model(x.to(device)), busy.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    x, busy = rows(2000)
    logits = model(x.to(device)).cpu()
print(f"test loss {F.cross_entropy(logits, busy).item():.4f}, accuracy {(logits.argmax(1) == busy).float().mean().item():.3f}")
