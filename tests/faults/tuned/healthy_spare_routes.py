"""One network that holds many: at every step one route of each stage is drawn, others wait; one head is kept for later."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Stage(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.routes = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width, bias=False), nn.Bilinear(width, width, width)])

    def forward(self, x: Tensor, route: int) -> Tensor:
        chosen = self.routes[route]
        return x + 0.5 * torch.tanh(chosen(x, x) if isinstance(chosen, nn.Bilinear) else chosen(x))


class Holder(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.enter = nn.Linear(8, width)
        self.stages = nn.ModuleList(Stage(width) for _ in range(4))
        self.leave = nn.Linear(width, 1)
        self.later = nn.Linear(width, 5)

    def forward(self, x: Tensor, routes: list[int]) -> Tensor:
        h = torch.tanh(self.enter(x))
        for stage, route in zip(self.stages, routes, strict=True):
            h = stage(h, route)
        return self.leave(h).squeeze(1)


def law(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0] + x[:, 1]) + 0.5 * x[:, 2] * x[:, 3] - 0.3 * x[:, 4:].sum(1)


model = Holder()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
total = 0.0
for step in range(240):
    x = torch.randn(128, 8)
    loss = F.mse_loss(model(x, torch.randint(3, (4,)).tolist()), law(x))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
