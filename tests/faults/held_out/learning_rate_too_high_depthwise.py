"""A depthwise-separable network reads the digits, with Nesterov momentum."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def separable(ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(ins, ins, 3, stride=stride, padding=1, groups=ins, bias=False),
        nn.Conv2d(ins, outs, 1),
        nn.GroupNorm(4, outs),
        nn.SiLU(),
    )


images, labels = digits.load()
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.SiLU(),
    separable(16, 24),
    separable(24, 32, stride=2),
    separable(32, 48, stride=2),
    nn.Flatten(),
    nn.Linear(192, 96),
    nn.SiLU(),
    nn.Linear(96, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03 if args.fixed else 0.6, momentum=0.9, nesterov=True)
for step in range(160):
    rows = torch.randint(0, 1400, (96,))
    loss = F.cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    right = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean()
print(f"accuracy on pictures not seen: {right.item():.3f}")
