"""The temperature of a heated plate, as a network of place and time fitted to sensor readings."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def temperature(x: Tensor) -> Tensor:
    """Sum three decaying modes of the plate."""
    modes = [(1.0, 1.0, 1.0), (2.0, 1.0, 0.7), (1.0, 3.0, 0.5)]
    return sum(a * torch.sin(m * 3.14 * x[:, 0]) * torch.sin(n * 3.14 * x[:, 1]) * torch.exp(-0.3 * (m + n) * x[:, 2]) for m, n, a in modes)


class Plate(nn.Module):
    def __init__(self, depth: int = 8, width: int = 48) -> None:
        super().__init__()
        self.act = nn.Tanh() if args.fixed else nn.Sigmoid()
        self.layers = nn.ModuleList(nn.Linear(3 if i == 0 else width, width) for i in range(depth))
        self.out = nn.Linear(width, 1)
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight, gain=1.4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return self.out(x).squeeze(1)


points = torch.rand(4096, 3)
readings = temperature(points)
readings = (readings - readings.mean()) / readings.std() + 0.02 * torch.randn(4096)

model = Plate()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
for step in range(300):
    rows = torch.randint(4096, (128,))
    loss = F.mse_loss(model(2 * points[rows] - 1), readings[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step}: loss {loss.item():.4g}")
