"""Sort nodes of random graphs by how many neighbours they have within three hops: sums over neighbours, one hop after the other."""

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

NODES = 24


def graphs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    place = torch.rand(count, NODES, 2)
    near = (torch.cdist(place, place) < 0.28).float() - torch.eye(NODES)
    colour = torch.randint(3, (count, NODES))
    red = (colour == 0).float().unsqueeze(2)
    once = near @ red
    twice = near @ once
    score = (once - 0.2 * (near @ near @ twice).clamp(min=0).sqrt()).squeeze(2)
    kind = (score > -1.2).long() + (score > 0.3).long()
    return near, F.one_hot(colour, 3).float(), kind


class Hops(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.embed = nn.Linear(3, width)
        self.hops = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        norm = nn.BatchNorm1d(width)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if args.fixed else norm for _ in range(3))
        self.kind = nn.Linear(4 * width, 3)

    def forward(self, near: Tensor, colour: Tensor) -> Tensor:
        h = self.embed(colour)
        kept = [h]
        for hop, norm in zip(self.hops, self.norms, strict=True):
            h = near @ hop(h)
            h = torch.relu(norm(h.flatten(0, 1)).view_as(h))
            kept.append(h)
        return self.kind(torch.cat(kept, 2))


model = Hops().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for step in range(160):
    near, colour, kind = graphs(24)
    loss = F.cross_entropy(model(near.to(device), colour.to(device)).flatten(0, 1), kind.flatten().to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    near, colour, kind = graphs(200)
    logits = model(near.to(device), colour.to(device)).cpu()
    told = F.cross_entropy(logits.flatten(0, 1), kind.flatten()).item()
print(f"test loss {told:.4f} accuracy {(logits.argmax(2) == kind).float().mean().item():.3f}")
