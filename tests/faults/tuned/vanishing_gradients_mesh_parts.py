"""Labels the nodes of a mesh by the part they belong to: graph convolutions written as products with the adjacency matrix."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def mesh(nodes: int = 240) -> tuple[Tensor, Tensor, Tensor]:
    place = torch.rand(nodes, 3) * 2 - 1
    near = torch.cdist(place, place).argsort(dim=1)[:, 1:6]
    links = torch.zeros(nodes, nodes).scatter_(1, near, 1.0)
    links = links / links.sum(dim=1, keepdim=True)
    part = (place[:, 0] * place[:, 1] > 0).long() + 2 * (place[:, 2] > 0).long()
    return place / 0.58, 0.8 * torch.eye(nodes) + 0.2 * links, part


class GraphLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        nn.init.xavier_normal_(self.linear.weight)
        self.act = nn.ELU() if args.fixed else nn.Sigmoid()

    def forward(self, h: Tensor, links: Tensor) -> Tensor:
        return self.act(self.linear(links @ h))


class MeshNet(nn.Module):
    def __init__(self, width: int = 40, depth: int = 7) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GraphLayer(3 if i == 0 else width, width) for i in range(depth))
        self.part = nn.Linear(width, 4)

    def forward(self, h: Tensor, links: Tensor) -> Tensor:
        for layer in self.layers:
            h = layer(h, links)
        return self.part(h)


place, links, part = mesh()
model = MeshNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for step in range(250):
    answer = model(place, links)
    loss = F.cross_entropy(answer, part)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f} right {(answer.argmax(1) == part).float().mean():.3f}")
