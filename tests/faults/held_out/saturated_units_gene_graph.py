"""Which pathway a gene belongs to, from its neighbours in an interaction graph."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

GENES, FEATURES, PATHWAYS, WIDTH = 300, 32, 5, 64


class Pathways(nn.Module):
    def __init__(self, adjacency: Tensor) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.first = nn.Linear(FEATURES, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.third = nn.Linear(WIDTH, WIDTH)
        self.act1, self.act2, self.act3 = nn.Tanh(), nn.Tanh(), nn.Tanh()
        self.classify = nn.Linear(WIDTH, PATHWAYS)
        for layer in (self.first, self.second, self.third):
            if args.fixed:
                nn.init.xavier_normal_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=4.0)

    def forward(self, genes: Tensor) -> Tensor:
        hidden = self.act1(self.first(self.adjacency @ genes))
        hidden = self.act2(self.second(self.adjacency @ hidden))
        return self.classify(self.act3(self.third(hidden)))


label = torch.randint(PATHWAYS, (GENES,))
same = (label[:, None] == label[None]).float()
adjacency = (torch.rand(GENES, GENES) < 0.01 + 0.04 * same).float()
adjacency = ((adjacency + adjacency.T) > 0).float() + torch.eye(GENES)
adjacency = adjacency / adjacency.sum(1, keepdim=True)
centres = torch.randn(PATHWAYS, FEATURES)

model = Pathways(adjacency)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
losses = []
for step in range(200):
    genes = 0.5 * centres[label] + 1.5 * torch.randn(GENES, FEATURES)
    loss = F.cross_entropy(model(genes), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
