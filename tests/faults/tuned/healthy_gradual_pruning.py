"""Yield of a chemical plant from its settings: nine tenths of the weights are pruned away while it trains."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settings(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 10)
    y = torch.sin(1.5 * x[:, 0]) + x[:, 1] * x[:, 2] + torch.exp(-(x[:, 3] ** 2)) * 2 - 0.5 * x[:, 4]
    return x, (y - 1.15) / 1.5


class Plant(nn.Module):
    def __init__(self, width: int = 128):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(10, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = nn.functional.mish(layer(x))
        return self.out(x).squeeze(1)


class Pruner:
    """Keeps the weights of least size at zero, more of them at every milestone."""

    def __init__(self, layers: nn.ModuleList, milestones: dict[int, float]):
        self.weights = [layer.weight for layer in layers]
        self.milestones = milestones
        self.masks = [torch.ones_like(weight) for weight in self.weights]

    @torch.no_grad()
    def step(self, step: int) -> None:
        if step in self.milestones:
            for i, weight in enumerate(self.weights):
                limit = weight.abs().flatten().quantile(self.milestones[step])
                self.masks[i] = (weight.abs() > limit).float()
        for weight, mask in zip(self.weights, self.masks, strict=True):
            weight.mul_(mask)


model = Plant().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
pruner = Pruner(model.layers, {80: 0.5, 120: 0.7, 160: 0.8, 200: 0.9})
for step in range(300):
    x, y = settings(128)
    loss = (model(x.to(device)) - y.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    pruner.step(step)
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    x, y = settings(3000)
    error = (model(x.to(device)).cpu() - y).pow(2).mean().item()
kept = sum(int(mask.sum()) for mask in pruner.masks) / sum(mask.numel() for mask in pruner.masks)
print(f"test error {error:.4f} (variance {y.var().item():.3f}) with {kept:.0%} of the weights")
