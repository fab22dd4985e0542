"""Message passing on a random network: which of two sources a node lies closer to."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

NODES, ROUNDS = 240, 8


class Round(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.others = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        return F.relu(self.own(x) + self.others(links @ x))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(4, 32)
        self.rounds = nn.ModuleList(Round(32) for _ in range(ROUNDS))
        self.decode = nn.Linear(32, 2)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        x = F.relu(self.encode(x))
        for layer in self.rounds:
            x = layer(x, links)
        return self.decode(x)


places = torch.rand(NODES, 2)
links = (torch.cdist(places, places) < 0.22).float()
if args.fixed:
    links = links / links.sum(dim=1, keepdim=True)
labels = (places.sin().sum(dim=1) > places.sin().sum(dim=1).median()).long()
features = torch.cat([places - 0.5, torch.randn(NODES, 2)], dim=1) + 0.1 * torch.randn(NODES, 4)

model = Network()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(120):
    rows = torch.randperm(NODES)[:160]
    loss = F.cross_entropy(model(features, links)[rows], labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4g}")
