"""Draws digits from their class and twelve numbers of style; a preview is drawn early on."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
pixels = images.flatten(1)
style = torch.pca_lowrank(pixels, 12)[0] * len(pixels) ** 0.5


class Painter(nn.Module):
    def __init__(self, width: int = 80, depth: int = 6) -> None:
        super().__init__()
        self.first = nn.Linear(22, width)
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.paint = nn.Linear(width, 64)

    def forward(self, kind: Tensor, style: Tensor) -> Tensor:
        h = F.relu(self.first(torch.cat([F.one_hot(kind, 10), style], 1)))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.relu(norm(layer(h)))
        return self.paint(h)


def preview(model: nn.Module) -> Tensor:
    model.eval()
    with torch.no_grad():
        sheet = model(torch.arange(10), torch.zeros(10, 12))
    if args.fixed:
        model.train()
    return sheet.view(10, 8, 8)


model = Painter()
sheet = preview(model)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.03)
for step in range(200):
    pick = torch.randint(0, len(pixels), (64,))
    loss = F.mse_loss(model(labels[pick], style[pick]), pixels[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f}")
