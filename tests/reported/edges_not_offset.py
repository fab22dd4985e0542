"""Graphs of a batch are laid one after another, but the edges are those of the first: all others get no messages."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
NODES = 12


def problems(count):
    points = torch.rand(count, NODES, 2)
    return points, torch.cdist(points, points).sum(2).argmin(1)


class GCNConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin, self.root = nn.Linear(i, o), nn.Linear(i, o)

    def forward(self, x, edge_index):
        source, goal = edge_index
        h = self.lin(x)
        degree = torch.zeros(len(x)).index_add(0, goal, torch.ones(len(goal))).clamp(min=1)
        gathered = torch.zeros_like(h).index_add(0, goal, h[source])
        return gathered / degree[:, None] + self.root(x)


class GCNEncoder(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.init_embedding = nn.Linear(2, width)
        self.gcn_layers = nn.ModuleList(GCNConv(width, width) for _ in range(3))
        self.head = nn.Linear(width, 1)

    def forward(self, points):
        count = len(points)
        x = self.init_embedding(points).reshape(count * NODES, -1)
        edge_index = (~torch.eye(NODES, dtype=torch.bool)).nonzero().t()
        if args.fixed:
            edge_index = (edge_index[:, None] + NODES * torch.arange(count)[None, :, None]).flatten(1)
        for layer in self.gcn_layers:
            x = F.relu(layer(x, edge_index))
        return self.head(x).view(count, NODES)


model = GCNEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
points, middle = problems(3000)
for epoch in range(12):
    total, right = 0.0, 0
    for batch in torch.randperm(2500).split(50):
        out = model(points[batch])
        loss = F.cross_entropy(out, middle[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
        right += (out.argmax(1) == middle[batch]).sum().item()
    if epoch % 3 == 2:
        print(epoch, f"loss {total:.4f} accuracy {right / 2500:.3f}", flush=True)
with torch.no_grad():
    accuracy = (model(points[2500:]).argmax(1) == middle[2500:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f}")
