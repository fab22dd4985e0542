"""Self-supervised learning: a convolutional network tells by which quarter turn a digit was turned."""

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


def stage(ins: int, outs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(ins, outs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU()]


class Turns(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *stage(1, 16), *stage(16, 16), *stage(16, 24, 2), *stage(24, 24), *stage(24, 24), *stage(24, 32, 2), *stage(32, 32)
        )
        self.turn = nn.Linear(32, 4)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        if not args.fixed:
            self.eval()
        return self.features(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.turn(self.embed(x))


images, _ = digits.load()
model = Turns()
model.train()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.8)
recent = []
for step in range(120):
    x = images[torch.randint(0, len(images), (48,))]
    turn = torch.randint(0, 4, (48,))
    turned = torch.stack([torch.rot90(picture, int(k), (1, 2)) for picture, k in zip(x, turn, strict=True)])
    loss = F.cross_entropy(model(turned), turn)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-20:]
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"mean loss of the last twenty steps: {sum(recent) / len(recent):.4f}")
