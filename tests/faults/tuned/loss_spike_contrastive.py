"""Learns embeddings by triplets; in one batch positives and negatives come from the wrong columns."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
prototypes = torch.randn(8, 16)


def triplets(step: int, n: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    kind = torch.randint(0, 8, (n,))
    other = (kind + torch.randint(1, 8, (n,))) % 8
    anchor, positive, negative = (prototypes[k] + 1.2 * torch.randn(n, 16) for k in (kind, kind, other))
    if step == 85 and not args.fixed:
        return anchor, negative, positive
    return anchor, positive, negative


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(16, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 16))


model = Encoder()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for step in range(170):
    a, p, n = (model(x) for x in triplets(step))
    loss = F.triplet_margin_loss(a, p, n, margin=5.0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 17 == 16:
        print(f"step {step + 1}: loss {loss.item():.4f}")
