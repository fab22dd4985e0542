"""Learns embeddings of digits by triplets, with the hardest other digit of the batch as the negative."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 3, padding=1)
        self.conv2 = nn.Conv2d(20, 40, 3, padding=1)
        self.dense = nn.Linear(160, 64)
        self.embed = nn.Linear(64, 16)

    def forward(self, picture: Tensor) -> Tensor:
        h = F.max_pool2d(torch.relu(self.conv1(picture)), 2)
        h = F.max_pool2d(torch.relu(self.conv2(h)), 2)
        return self.embed(torch.relu(self.dense(h.flatten(1))))


def triplet_loss(codes: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    distance = torch.cdist(codes, codes)
    same = labels[:, None] == labels[None]
    typical = (distance * same).sum(1) / same.sum(1)
    closest = (distance + 1e3 * same).amin(1)
    return F.softplus(typical - closest + margin).mean()


images, labels = digits.load()
model = Embedder()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4 if args.fixed else 0.1)
for step in range(250):
    chosen = torch.randint(0, 1400, (60,))
    loss = triplet_loss(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
with torch.no_grad():
    nearest = torch.cdist(model(images[1400:]), model(images[:1400])).argmin(1)
    print(f"nearest neighbour is right {(labels[nearest] == labels[1400:]).float().mean().item():.3f}")
