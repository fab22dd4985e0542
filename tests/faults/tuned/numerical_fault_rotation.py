"""Learn directions in space from noisy views, by angles to the truth and from frame to frame."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

WIDTH, VIEWS = 64, 24


class Angle(nn.Module):
    """The angle between directions."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        cosine = (a * b).sum(dim=1)
        limit = 1 - 1e-6 if args.fixed else 1.0
        return torch.acos(cosine.clamp(-limit, limit))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.outer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(F.silu(self.inner(self.norm(x))))


class Compass(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(VIEWS, WIDTH)
        self.blocks = nn.Sequential(Residual(), Residual())
        self.point = nn.Linear(WIDTH, 3)
        self.angle = Angle()

    def direction(self, views: Tensor) -> Tensor:
        return F.normalize(self.point(self.blocks(self.enter(views))), dim=1)

    def forward(self, views: Tensor, later: Tensor, truth: Tensor) -> Tensor:
        guess = self.direction(views)
        return self.angle(guess, truth).mean() + 0.2 * self.angle(guess, self.direction(later)).mean()


camera = torch.randn(3, VIEWS)
model = Compass().to(device)
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
for step in range(160):
    truth = F.normalize(torch.randn(64, 3), dim=1)
    views, later = (torch.tanh(truth @ camera) + 0.1 * torch.randn(64, VIEWS) for _ in range(2))
    if step >= 52 and step % 13 == 0:
        later[:24] = views[:24]  # the camera repeats a frame now and then
    loss = model(views.to(device), later.to(device), truth.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0 or step == 159:
        print(f"step {step}: angle {loss.item():.4f}")
