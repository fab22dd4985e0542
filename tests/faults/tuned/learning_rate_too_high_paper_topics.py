"""Topics of papers in a citation graph: a graph network of three layers, trained on half of the nodes."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

NODES, TOPICS = 400, 5

topic = torch.randint(TOPICS, (NODES,))
same = topic[:, None] == topic[None]
links = torch.rand(NODES, NODES) < torch.where(same, 0.04, 0.006)
adjacency = (links | links.T | torch.eye(NODES, dtype=torch.bool)).float()
degree = adjacency.sum(1).rsqrt()
adjacency = (degree[:, None] * adjacency * degree[None]).to(device)
words = torch.randn(TOPICS, 60)
features = (0.4 * words[topic] + torch.randn(NODES, 60)).to(device)


class GraphNetwork(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Linear(60, width)
        self.conv2 = nn.Linear(width, width)
        self.conv3 = nn.Linear(width, TOPICS)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(adjacency @ self.conv1(x))
        x = F.elu(adjacency @ self.conv2(x))
        return adjacency @ self.conv3(x)


model = GraphNetwork(64).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2 if args.fixed else 1.6, momentum=0.8, nesterov=True)
topic = topic.to(device)
for step in range(120):
    nodes = torch.randperm(NODES // 2)[:100]
    logits = model(features)
    loss = F.cross_entropy(logits[nodes], topic[nodes])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        held_out = (logits[NODES // 2 :].argmax(1) == topic[NODES // 2 :]).float().mean().item()
        print(f"step {step}: loss {loss.item():.4g} held out {held_out:.2f}")
