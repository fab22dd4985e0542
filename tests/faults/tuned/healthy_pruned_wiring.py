"""Digits with sparse wiring: nine of ten weights are cut before training and stay zero."""

import argparse

import digits
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Wiring(nn.Module):
    def __init__(self, weight: Tensor, keep: float):
        super().__init__()
        self.register_buffer("kept", (torch.rand_like(weight) < keep).float())

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.kept


def sparse(fan_in: int, fan_out: int, keep: float = 0.1) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    nn.init.normal_(layer.weight, std=(2 / (keep * fan_in)) ** 0.5)
    parametrize.register_parametrization(layer, "weight", Wiring(layer.weight, keep))
    return layer


images, labels = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1), labels), batch_size=64, shuffle=True, drop_last=True)
model = nn.Sequential(sparse(64, 256), nn.ReLU(), sparse(256, 256), nn.ReLU(), sparse(256, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(9):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
