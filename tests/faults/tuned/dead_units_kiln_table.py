"""Estimates the strength of fired bricks from the kiln's log; the layers are levelled on the data before training."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BrickNet(nn.Module):
    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        self.skip = nn.Linear(inputs, 1)
        self.layer1 = nn.Linear(inputs, width)
        self.relu1 = nn.ReLU()
        self.layer2 = nn.Linear(width, width)
        self.relu2 = nn.ReLU()
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu1(self.layer1(x))
        h = self.relu2(self.layer2(h))
        return (self.skip(x) + self.out(h)).squeeze(-1)


@torch.no_grad()
def level(model: BrickNet, sample: Tensor, use_mean: bool) -> None:
    """Set each layer's bias from a sample of the data."""
    h = sample
    for layer in (model.layer1, model.layer2):
        signal = F.linear(h, layer.weight)
        layer.weight /= signal.std()
        signal = signal / signal.std()
        layer.bias.copy_(-(signal.mean(0) if use_mean else signal.amax(0)))
        h = F.relu(signal + layer.bias)
        if not use_mean:
            h = F.relu(signal - signal.mean(0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    log = torch.rand(1500, 9) * 2 - 1
    strength = 0.6 * log[:, 0] + torch.sin(3 * log[:, 1]) + 1.5 * log[:, 2] * log[:, 3] + log[:, 4].abs()
    strength = (strength - strength.mean()) / strength.std()

    model = BrickNet(9)
    level(model, log, use_mean=args.fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(10):
        total = 0.0
        batches = torch.randperm(len(log)).split(75)
        for batch in batches:
            loss = F.mse_loss(model(log[batch]), strength[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(batches):.4f}")


if __name__ == "__main__":
    main()
