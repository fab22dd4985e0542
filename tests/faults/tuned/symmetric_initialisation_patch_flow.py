"""A flow of affine couplings on small patches of the digits."""

import argparse
import math

import digits
import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Coupling(nn.Module):
    def __init__(self, size: int, width: int, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        self.hidden = nn.Linear(size // 2, width)
        self.more = nn.Linear(width, width)
        self.out = nn.Linear(width, size)
        if not args.fixed:
            for layer in (self.hidden, self.more):
                nn.init.constant_(layer.weight, 1 / layer.in_features)
                nn.init.zeros_(layer.bias)
            nn.init.constant_(self.out.weight, 0.002)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        scale, shift = self.out(torch.tanh(self.more(torch.tanh(self.hidden(a))))).chunk(2, 1)
        scale = torch.tanh(scale)
        b = b * scale.exp() + shift
        return torch.cat([b, a] if self.flip else [a, b], 1), scale.sum(1)


class Flow(nn.Module):
    def __init__(self, size: int, steps: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(size, 64, i % 2 == 1) for i in range(steps))

    def forward(self, x: Tensor) -> Tensor:
        volume = torch.zeros(len(x), device=x.device)
        for coupling in self.couplings:
            x, change = coupling(x)
            volume = volume + change
        return 0.5 * x.pow(2).sum(1) + 0.5 * x.shape[1] * math.log(2 * math.pi) - volume


images, _ = digits.load()
patches = images.unfold(2, 4, 2).unfold(3, 4, 2).reshape(-1, 16)
model = Flow(16, 6).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(200):
    x = patches[torch.randint(len(patches), (128,))]
    loss = model((x + 0.1 * torch.randn_like(x)).to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: {loss.item():.3f} nats")
