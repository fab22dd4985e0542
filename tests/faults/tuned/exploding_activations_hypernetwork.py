"""Curves of many devices: a hypernetwork writes the weights of a small network for each of them."""

import argparse
import itertools

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

DEPTH, WIDTH = 7, 24


class WrittenLayer(nn.Module):
    """A linear layer whose weights are computed from the device's code."""

    def __init__(self, code: int, inputs: int, outputs: int):
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.writer = nn.Linear(code, inputs * outputs)
        self.shift = nn.Linear(code, outputs)
        scale = (2 / inputs) ** 0.5 if args.fixed else 1.0
        nn.init.normal_(self.writer.bias, std=scale)
        nn.init.normal_(self.writer.weight, std=0.3 * scale / code**0.5)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        weight = self.writer(code).view(-1, self.inputs, self.outputs)
        return torch.bmm(x, weight) + self.shift(code).unsqueeze(1)


class Curves(nn.Module):
    def __init__(self, code: int = 8):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, code), nn.Tanh())
        sizes = [2] + [WIDTH] * DEPTH
        self.layers = nn.ModuleList(WrittenLayer(code, a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor, settings: Tensor) -> Tensor:
        code = self.encode(settings)
        for layer in self.layers:
            x = torch.relu(layer(x, code))
        return self.out(x)


def draw(devices: int) -> tuple[Tensor, Tensor, Tensor]:
    settings = torch.rand(devices, 3) * 2 - 1
    x = torch.rand(devices, 16, 2) * 2 - 1
    s = settings.unsqueeze(1)
    y = torch.sin(2 * x[..., :1] + 2 * s[..., :1]) + s[..., 1:2] * x[..., 1:] + s[..., 2:] * x[..., :1] * x[..., 1:]
    return x, settings, y


model = Curves().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(200):
    x, settings, y = draw(32)
    loss = (model(x.to(device), settings.to(device)) - y.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    x, settings, y = draw(500)
    error = (model(x.to(device), settings.to(device)).cpu() - y).pow(2).mean().item()
print(f"test error {error:.4f} (variance {y.var().item():.3f})")
