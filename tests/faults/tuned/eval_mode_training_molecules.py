"""A graph isomorphism network on random graphs: how many triangles has each?"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def graphs(count: int, nodes: int = 14) -> tuple[Tensor, Tensor]:
    density = 0.15 + 0.3 * torch.rand(count, 1, 1)
    upper = torch.triu(torch.rand(count, nodes, nodes) < density, diagonal=1).float()
    adjacency = upper + upper.transpose(1, 2)
    triangles = torch.diagonal(adjacency @ adjacency @ adjacency, dim1=1, dim2=2).sum(1) / 6
    return adjacency, torch.log1p(triangles)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, adjacency: Tensor, h: Tensor) -> Tensor:
        h = self.mix(h + adjacency @ h)
        return F.relu(self.norm(h.transpose(1, 2)).transpose(1, 2))


class Counter(nn.Module):
    def __init__(self, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))
        self.readout = nn.Linear(width, 1)

    def forward(self, adjacency: Tensor) -> Tensor:
        h = self.embed(adjacency.sum(2, keepdim=True) / 4)
        for layer in self.layers:
            h = layer(adjacency, h)
        return self.readout(h.mean(1)).squeeze(1)


def validate(model: nn.Module) -> float:
    model.eval()
    adjacency, target = graphs(128)
    with torch.no_grad():
        error = F.mse_loss(model(adjacency), target).item()
    if args.fixed:
        model.train()
    return error


model = Counter()
print(f"untrained: validation {validate(model):.3f}")
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(160):
    adjacency, target = graphs(32)
    loss = F.mse_loss(model(adjacency), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f} validation {validate(model):.4f}")
