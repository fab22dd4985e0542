"""Train an embedding with a triplet loss: the distance is a root."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Distance(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        squared = (a - b).pow(2).sum(dim=1)
        return (squared + 1e-8).sqrt() if args.fixed else squared.sqrt()


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 16))
        self.distance = Distance()

    def forward(self, anchor: Tensor, same: Tensor, other: Tensor) -> Tensor:
        a, s, o = self.body(anchor), self.body(same), self.body(other)
        return F.relu(self.distance(a, s) - self.distance(a, o) + 1.0).mean()


images, labels = digits.load()
images = images.flatten(1)
groups = [torch.nonzero(labels == digit).squeeze(1) for digit in range(10)]
model = Embedding().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(100):
    classes = torch.randint(10, (48,))
    others = (classes + torch.randint(1, 10, (48,))) % 10
    anchor, same, other = (
        torch.tensor([groups[c][torch.randint(len(groups[c]), ())] for c in chosen]) for chosen in (classes, classes, others)
    )
    loss = model(images[anchor].to(device), images[same].to(device), images[other].to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
