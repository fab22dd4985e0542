"""Region of a made-up place name from its pairs of letters: tables moved by hand, with shrinkage at every step."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LETTERS, LENGTH, REGIONS = 20, 8, 6


class Regions(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.pairs = nn.Parameter(torch.randn(LETTERS * LETTERS, width) * 0.5)
        self.mix = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.regions = nn.Parameter(torch.randn(width, REGIONS) / width**0.5)

    def forward(self, names: Tensor) -> Tensor:
        pair = names[:, :-1] * LETTERS + names[:, 1:]
        h = self.pairs[pair].mean(1) * (LENGTH - 1) ** 0.5
        return F.gelu(h @ self.mix) @ self.regions


habits = torch.softmax(1.5 * torch.randn(REGIONS, LETTERS, LETTERS), 2)


def gazetteer(count: int) -> tuple[Tensor, Tensor]:
    region = torch.randint(REGIONS, (count,))
    letters = [torch.randint(LETTERS, (count,))]
    for _ in range(LENGTH - 1):
        letters.append(torch.multinomial(habits[region, letters[-1]], 1).squeeze(1))
    return torch.stack(letters, 1), region


model = Regions()
rate, shrink = 0.5, 1e-5 if args.fixed else 0.04
slow = [torch.zeros_like(p) for p in model.parameters()]
right = total = 0.0
for step in range(300):
    names, region = gazetteer(128)
    logits = model(names)
    loss = F.cross_entropy(logits, region)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for p, m, g in zip(model.parameters(), slow, gradients, strict=True):
            m.lerp_(g, 0.2)
            p.mul_(1 - shrink).sub_(m, alpha=rate)
    total += loss.item()
    right += (logits.argmax(1) == region).float().mean().item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}, right {right / 30:.3f}")
        right = total = 0.0
