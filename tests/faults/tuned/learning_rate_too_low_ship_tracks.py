"""What a ship is doing (fishing, sailing, waiting) from its track: dilated convolutions with channel norms."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Tracks(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.enter = nn.Conv1d(2, width, 3)
        self.layers = nn.ModuleList([nn.Conv1d(width, width, 3, dilation=2**i, padding=2**i) for i in range(4)])
        self.norms = nn.ModuleList([nn.GroupNorm(4, width) for _ in range(4)])
        self.doing = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + F.gelu(layer(norm(x)))
        return self.doing(x.mean(2))


def tracks(count: int, length: int = 40) -> tuple[Tensor, Tensor]:
    """Return moves east and north (count, 2, length), and the kind."""
    kind = torch.randint(0, 3, (count,))
    wiggle = torch.tensor([0.9, 0.1, 2.5])[kind, None] * torch.randn(count, length)
    course = 6.28 * torch.rand(count, 1) + wiggle.cumsum(1)
    speed = torch.tensor([0.8, 1.2, 0.5])[kind, None] * (0.8 + 0.4 * torch.rand(count, 1))
    return torch.stack([speed * course.cos(), speed * course.sin()], 1), kind


model = Tracks()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if args.fixed else 5e-5, momentum=0.9)
for step in range(180):
    x, kind = tracks(64)
    logits = model(x)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step + 1}: loss {loss.item():.4f} right {(logits.argmax(1) == kind).float().mean().item():.3f}")
