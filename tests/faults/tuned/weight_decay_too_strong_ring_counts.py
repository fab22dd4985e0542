"""How many triangles a small graph has: message passing trained with the signs of a momentum."""

import argparse
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class SignMomentum(torch.optim.Optimizer):
    """Lion: the sign of an interpolated momentum, with decoupled decay."""

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(torch.sign(0.9 * m + 0.1 * p.grad), alpha=-group["lr"])
                m.mul_(0.99).add_(p.grad, alpha=0.01)


class Triangles(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.start = nn.Linear(4, width)
        self.message = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(3))
        self.read = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, adjacency: Tensor) -> Tensor:
        two = adjacency @ adjacency
        degree, around = adjacency.sum(2), (two * adjacency).sum(2)
        x = torch.stack([degree - 4, around - 6, (two @ adjacency).diagonal(dim1=1, dim2=2) / 4 - 2, torch.ones_like(degree)], 2) / 4
        x = F.silu(self.start(x))
        for layer in self.message:
            x = x + F.silu(layer(torch.cat([x, adjacency @ x / 4], 2)))
        return self.read(x.mean(1)).squeeze(1)


def graphs(count: int, nodes: int = 12) -> tuple[Tensor, Tensor]:
    density = 0.2 + 0.4 * torch.rand(count, 1, 1)
    half = torch.triu((torch.rand(count, nodes, nodes) < density).float(), 1)
    adjacency = half + half.transpose(1, 2)
    triangles = (adjacency @ adjacency @ adjacency).diagonal(dim1=1, dim2=2).sum(1) / 6
    return adjacency, (triangles - 20) / 20


model = Triangles(32).to(device)
optimizer = SignMomentum(model.parameters(), lr=1e-3, weight_decay=0.01 if args.fixed else 60.0)
for step in range(200):
    adjacency, target = graphs(64)
    loss = F.mse_loss(model(adjacency.to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f} (variance {target.var().item():.3f})")
