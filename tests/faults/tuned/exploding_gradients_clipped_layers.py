"""Digits read by a deep net of normalised layers with clipped units, small enough for fixed-point chips."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class ClippedLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)
        self.clip = nn.Hardtanh()
        nn.init.constant_(self.norm.weight, slope)

    def forward(self, x: Tensor) -> Tensor:
        return self.clip(self.norm(self.linear(x)))


def build(depth: int, slope: float) -> nn.Sequential:
    layers = [ClippedLayer(64 if i == 0 else 96, 96, slope) for i in range(depth)]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(96, 10))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    images, labels = digits.load()
    loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
    model = build(depth=14, slope=0.5 if args.fixed else 5.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(6):
        total, right = 0.0, 0
        for x, y in loader:
            score = model(x)
            loss = F.cross_entropy(score, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            right += int((score.argmax(1) == y).sum())
        print(f"epoch {epoch}: loss {total / len(loader):.4f}, right {right / (64 * len(loader)):.3f}")
