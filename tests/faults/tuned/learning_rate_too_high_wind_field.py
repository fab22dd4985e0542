"""A coordinate network with Fourier features learns a wind field from scattered stations."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


frequencies = 2.0 * torch.randn(2, 32)
stations = torch.rand(600, 2) * 2 - 1
angle = 3 * stations[:, 0] * stations[:, 1] + torch.sin(4 * stations[:, 1])
wind = torch.stack([angle.cos(), angle.sin()], dim=1) * (1 + 0.5 * stations[:, :1])


class Field(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.wind = nn.Linear(width, 2)

    def forward(self, at: Tensor) -> Tensor:
        phases = at @ frequencies
        x = torch.cat([phases.sin(), phases.cos()], dim=1)
        for layer in (self.first, self.second, self.third):
            x = F.elu(layer(x))
        return self.wind(x)


model = Field()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if args.fixed else 0.6, momentum=0.9)
for epoch in range(12):
    order = torch.randperm(600)
    for rows in order.split(40):
        loss = F.mse_loss(model(stations[rows]), wind[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
