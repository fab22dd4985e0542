"""Digits read by a chain of matrices, one for every pair of pixels, contracted from left to right."""

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


class Site(nn.Module):
    """The state times a matrix that the site's two pixels choose."""

    def __init__(self, bond: int) -> None:
        super().__init__()
        noise = torch.randn(3, bond, bond)
        if args.fixed:
            noise = 0.05 * noise
            noise[0] += torch.eye(bond)
        else:
            noise = 0.4 * noise
        self.core = nn.Parameter(noise)

    def forward(self, state: Tensor, pixels: Tensor) -> Tensor:
        matrix = self.core[0] + torch.einsum("bp,pij->bij", pixels, self.core[1:])
        return torch.bmm(state.unsqueeze(1), matrix).squeeze(1)


class Chain(nn.Module):
    def __init__(self, bond: int = 12, sites: int = 32) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.ones(bond) / bond**0.5)
        self.sites = nn.ModuleList(Site(bond) for _ in range(sites))
        self.read = nn.Linear(bond, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        state = self.start.expand(len(pictures), -1)
        for site, pixels in zip(self.sites, pictures.reshape(len(pictures), 32, 2).unbind(1), strict=True):
            state = site(state, pixels)
        return self.read(state)


images, labels = digits.load()
model = Chain()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
total = right = 0.0
for step in range(120):
    rows = torch.randint(len(images), (64,))
    logits = model(images[rows])
    loss = F.cross_entropy(logits, labels[rows])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    total += loss.item()
    right += (logits.argmax(1) == labels[rows]).float().mean().item()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {total / 20:.4g}, right {right / 20:.3f}")
        total = right = 0.0
