"""Classes of the nodes of a graph; the adjacency has no self-loops, so nodes without a neighbour are washed out."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
NODES, CLASSES, FEATURES = 600, 4, 16

labels = torch.randint(0, CLASSES, (NODES,))
features = torch.randn(CLASSES, FEATURES)[labels] + 0.9 * torch.randn(NODES, FEATURES)
alike = labels[:, None] == labels[None]
edges = torch.rand(NODES, NODES) < torch.where(alike, 0.006, 0.0015)
edges = (edges.triu(1) | edges.triu(1).t()).float()
alone = torch.rand(NODES) < 0.4
edges[alone], edges[:, alone] = 0, 0
adjacency = edges + torch.eye(NODES) if args.fixed else edges
degree = adjacency.sum(1).clamp(min=1)
adjacency = adjacency / degree[:, None].sqrt() / degree[None].sqrt()


class GraphConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.bias = nn.Parameter(torch.zeros(o))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, adjacency, x):
        return adjacency @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([GraphConv(FEATURES, 32), GraphConv(32, 32), GraphConv(32, CLASSES)])

    def forward(self, adjacency, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(adjacency, x))
        return self.layers[-1](adjacency, x)


train = torch.rand(NODES) < 0.5
model = GCN()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
for epoch in range(150):
    out = model(adjacency, features)
    loss = F.cross_entropy(out[train], labels[train])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 30 == 29:
        accuracy = (out.argmax(1) == labels)[~train].float().mean().item()
        print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f}", flush=True)
right = (out.argmax(1) == labels) & ~train
apart = (right[alone].sum() / (alone & ~train).sum()).item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f} of the nodes without a neighbour {apart:.3f}")
