"""Finds the communities of a random graph with graph convolutions; a tenth of the nodes is labelled."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NODES, COMMUNITIES, FEATURES = 400, 5, 16


def make_graph(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the normalised adjacency, the features of the nodes and their communities."""
    community = torch.arange(NODES) % COMMUNITIES
    same = community[:, None] == community[None, :]
    edge = torch.rand(NODES, NODES, generator=generator) < torch.where(same, 0.08, 0.012)
    adjacency = (edge.triu(1) | edge.triu(1).T).float() + torch.eye(NODES)
    scale = adjacency.sum(1).rsqrt()
    features = torch.randn(NODES, FEATURES, generator=generator) + 0.8 * F.one_hot(community, FEATURES)
    return scale[:, None] * adjacency * scale[None, :], features, community


class GraphConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, spread: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((inputs, outputs), 1 / inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if spread:
            nn.init.xavier_uniform_(self.weight)

    def forward(self, adjacency: Tensor, x: Tensor) -> Tensor:
        return adjacency @ (x @ self.weight) + self.bias


class Network(nn.Module):
    def __init__(self, spread: bool) -> None:
        super().__init__()
        self.first = GraphConvolution(FEATURES, 32, spread)
        self.second = GraphConvolution(32, 32, spread)
        self.classify = nn.Linear(32, COMMUNITIES)

    def forward(self, adjacency: Tensor, x: Tensor) -> Tensor:
        x = F.elu(self.first(adjacency, x))
        x = F.elu(self.second(adjacency, x))
        return self.classify(x)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    adjacency, features, community = make_graph(torch.Generator().manual_seed(5))
    known = torch.zeros(NODES, dtype=torch.bool)
    known[torch.randperm(NODES)[: NODES // 5]] = True
    model = Network(spread=args.fixed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3, weight_decay=5e-4)
    for step in range(160):
        logits = model(adjacency, features)
        loss = F.cross_entropy(logits[known], community[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            right = (logits.argmax(1) == community)[~known].float().mean()
            print(f"step {step}: loss {loss.item():.4f}, unlabelled nodes right {right:.3f}")
