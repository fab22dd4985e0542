"""A ring of coupled clocks listens to a rhythm and tells which one it was."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


BEATS, KINDS = 30, 5
patterns = (torch.rand(KINDS, BEATS) < 0.4).float()


class Clocks(nn.Module):
    """Phases that pull at one another, as in the model of Kuramoto."""

    def __init__(self, clocks: int = 40):
        super().__init__()
        self.clocks = clocks
        self.pull = nn.Linear(2 * clocks, clocks)
        nn.init.normal_(self.pull.weight, std=(0.1 if args.fixed else 1.5) / clocks**0.5)
        self.beat = nn.Linear(1, clocks)
        self.kind = nn.Linear(2 * clocks, KINDS)

    def forward(self, beats: Tensor) -> Tensor:
        phase = torch.zeros(len(beats), self.clocks)
        for t in range(beats.shape[1]):
            seen = torch.cat([phase.sin(), phase.cos()], dim=1)
            phase = phase + self.pull(seen) + self.beat(beats[:, t : t + 1])
        return self.kind(torch.cat([phase.sin(), phase.cos()], dim=1))


model = Clocks()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(150):
    kind = torch.randint(KINDS, (64,))
    beats = (patterns[kind] + 0.1 * torch.randn(64, BEATS)).roll(0, 1)
    scores = model(beats)
    loss = F.cross_entropy(scores, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        right = (scores.argmax(1) == kind).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
