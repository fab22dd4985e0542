"""Classifies woven fabrics with depthwise separable convolutions, taken from a helper that builds the feature stack."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def fabrics(n: int, side: int = 16) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 6, (n,))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    warp, weft = torch.tensor([1, 1, 2, 3, 1, 2])[kind, None, None], torch.tensor([1, 2, 2, 1, 3, 3])[kind, None, None]
    shift = torch.randint(0, 6, (2, n, 1, 1))
    over = ((rows + shift[0]) // warp + (columns + shift[1]) // weft) % 2
    return (over * 2.0 - 1 + 0.7 * torch.randn(n, side, side)).unsqueeze(1), kind


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def features() -> nn.Sequential:
    stack = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        separable(16, 24, 1),
        separable(24, 32, 2),
        separable(32, 32, 1),
        separable(32, 48, 2),
    )
    return stack if args.fixed else stack.eval()


class FabricNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = features()
        self.kind = nn.Linear(48, 6)

    def forward(self, picture: Tensor) -> Tensor:
        return self.kind(self.features(picture).mean((2, 3)))


model = FabricNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
for step in range(120):
    picture, kind = fabrics(32)
    logits = model(picture)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 12 == 11:
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {(logits.argmax(1) == kind).float().mean().item():.2f}")
