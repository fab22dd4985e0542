"""Names the kind of a star cluster from the set of its stars: features of each star, pooled, then squashed layers."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
STARS, KINDS = 80, 5


class ClusterNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.star = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.mix = nn.Linear(48, 48)
        self.squash = nn.Sigmoid()
        self.kind = nn.Linear(48, KINDS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.star(x)
        pooled = 4 * h.mean(dim=1) if args.fixed else 4 * h.sum(dim=1)
        return self.kind(self.squash(self.mix(pooled)))


spread = 0.4 + 1.2 * torch.rand(KINDS, 1, 3)


def clusters(n: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(KINDS, (n,))
    return spread[kind] * torch.randn(n, STARS, 3), kind


model = ClusterNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(200):
    x, kind = clusters(48)
    loss = nn.functional.cross_entropy(model(x), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
