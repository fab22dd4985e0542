"""A dilated convolutional network names birds by their calls."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


BIRDS, LENGTH = 5, 96


def calls(n: int) -> tuple[Tensor, Tensor]:
    bird = torch.randint(BIRDS, (n,))
    t = torch.arange(LENGTH) / LENGTH
    rise = (bird.float() - 2)[:, None] * 6
    start = 10 + 3 * torch.rand(n, 1)
    call = torch.sin(6.28 * (start * t + rise * t.square() / 2 + torch.rand(n, 1)))
    return (call + 0.3 * torch.randn(n, LENGTH)).unsqueeze(1), bird


class Dilated(nn.Module):
    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.conv(x))


model = nn.Sequential(
    nn.Conv1d(1, 24, 7, padding=3),
    nn.ReLU(),
    *(Dilated(24, d) for d in (1, 2, 4, 8)),
    nn.AdaptiveMaxPool1d(4),
    nn.Flatten(),
    nn.Linear(96, BIRDS),
)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 if args.fixed else 6e-2)
for step in range(150):
    x, bird = calls(32)
    scores = model(x)
    loss = F.cross_entropy(scores, bird)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        right = (scores.argmax(1) == bird).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
