"""Fast weights run ahead for five steps, then slow weights follow them half way."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def peptides(n: int) -> tuple[Tensor, Tensor]:
    """Chains of 12 residues of 6 kinds, and how strongly each chain binds."""
    chain = torch.randint(6, (n, 12))
    charge = torch.tensor([1.0, -1.0, 0.0, 0.0, 0.5, -0.5])[chain]
    pull = (charge[:, :-1] * charge[:, 1:]).sum(1) + 0.5 * (chain == 3).float().sum(1)
    return chain, 0.6 * pull + 0.1 * torch.randn(n)


class Binder(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.residue = nn.Embedding(6, width)
        self.pair = nn.Conv1d(width, 2 * width, 2)
        self.strength = nn.Linear(2 * width, 1)

    def forward(self, chain: Tensor) -> Tensor:
        x = self.residue(chain).transpose(1, 2)
        return self.strength(F.hardswish(self.pair(x)).sum(2)).squeeze(1)


class Lookahead:
    def __init__(self, fast: torch.optim.Optimizer, every: int = 5, share: float = 0.5):
        self.fast, self.every, self.share, self.count = fast, every, share, 0
        self.slow = [p.detach().clone() for group in fast.param_groups for p in group["params"]]

    def step(self) -> None:
        self.fast.step()
        self.count += 1
        if self.count % self.every == 0:
            fast = [p for group in self.fast.param_groups for p in group["params"]]
            with torch.no_grad():
                for slow, p in zip(self.slow, fast, strict=True):
                    slow.lerp_(p, self.share)
                    p.copy_(slow)


model = Binder()
fast = torch.optim.Adam(model.parameters(), lr=4e-3)
optimizer = Lookahead(fast)
for step in range(240):
    chain, strength = peptides(48)
    loss = F.mse_loss(model(chain), strength)
    fast.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
