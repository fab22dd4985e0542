"""Classify digits by the cosine to a prototype of each class, sharpened by a large scale."""

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

SCALE = 200.0


class Shares(nn.Module):
    """Logarithm of the share of each class."""

    def forward(self, logits: Tensor) -> Tensor:
        if args.fixed:
            return logits.log_softmax(dim=1)
        odds = torch.exp(logits)
        return torch.log(odds / odds.sum(dim=1, keepdim=True) + 1e-9)


class Prototypes(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, width))
        self.prototypes = nn.Parameter(torch.randn(10, width))
        self.shares = Shares()

    def forward(self, x: Tensor) -> Tensor:
        cosine = F.normalize(self.features(x), dim=1) @ F.normalize(self.prototypes, dim=1).T
        return self.shares(SCALE * cosine)


images, labels = digits.load()
model = Prototypes().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(5):
    order = torch.randperm(1500)
    for chosen in order.split(50):
        loss = F.nll_loss(model(images[chosen].to(device)), labels[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")

with torch.no_grad():
    right = model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]
print(f"accuracy {right.float().mean().item():.3f}")
