"""Kind of a jet from its particles: a small network for each particle, the sum over them, and one for the jet."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Jet(nn.Module):
    def __init__(self, width: int = 32, kinds: int = 3) -> None:
        super().__init__()
        self.particle = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.jet = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.kind = nn.Linear(width, kinds)
        if not args.fixed:
            for name, weight in self.named_parameters():
                if not name.startswith("kind"):
                    nn.init.constant_(weight, 0.05 if name.endswith("weight") else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.kind(self.jet(self.particle(x).mean(1)))


def jets(count: int, particles: int = 20) -> tuple[Tensor, Tensor]:
    """Return energy and direction (count, particles, 3), and how many cores the jet has, less one."""
    kind = torch.randint(0, 3, (count,))
    turn = 6.28 * torch.rand(count, 1)
    core = torch.randint(0, 3, (count, particles)) % (kind[:, None] + 1)
    angle = turn + 6.28 * core / (kind[:, None] + 1)
    apart = (kind[:, None] > 0) * 1.2
    place = torch.stack([apart * angle.cos(), apart * angle.sin()], 2) + 0.25 * torch.randn(count, particles, 2)
    return torch.cat([torch.randn(count, particles, 1), place], 2), kind


model = Jet()
optimizer = torch.optim.RMSprop(model.parameters(), lr=4e-3)
for step in range(250):
    x, kind = jets(96)
    logits = model(x)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f} right {(logits.argmax(1) == kind).float().mean().item():.3f}")
