"""A graph convolution by matrix products that finds the communities of a random graph."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
NODES, GROUPS = 160, 4
group = torch.arange(NODES) % GROUPS
same = group[:, None] == group[None, :]
edges = (torch.rand(NODES, NODES) < torch.where(same, 0.15, 0.03)).float().triu(1)
adjacency = edges + edges.T + torch.eye(NODES)
degree = adjacency.sum(dim=1).rsqrt()
adjacency = degree[:, None] * adjacency * degree[None, :]
features = F.one_hot(group, GROUPS).float() @ torch.randn(GROUPS, 16) * 0.7 + torch.randn(NODES, 16)


class GraphConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((inputs, outputs), 1 / inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if args.fixed:
            nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return adjacency @ (x @ self.weight) + self.bias


class GraphNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = GraphConvolution(16, 32)
        self.conv2 = GraphConvolution(32, 32)
        self.read = nn.Linear(32, GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(self.conv1(x))
        return self.read(F.elu(self.conv2(x)))


model = GraphNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
known = torch.rand(NODES) < 0.6
for epoch in range(100):
    optimizer.zero_grad()
    output = model(features)
    loss = F.cross_entropy(output[known], group[known])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 19:
        accuracy = (output.argmax(1) == group)[~known].float().mean()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, others {accuracy.item():.3f}")
