"""Classifies noisy waveforms with a residual 1-D network that was built by the function the service uses."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.conv_a = nn.Conv1d(width, width, 5, padding=2, bias=False)
        self.conv_b = nn.Conv1d(width, width, 5, padding=2, bias=False)
        for conv in (self.conv_a, self.conv_b):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_a(F.relu(self.norm_a(x)))
        return x + self.conv_b(F.relu(self.norm_b(h)))


def load_model(classes: int = 4, width: int = 16, depth: int = 6) -> nn.Module:
    """The network, ready for use."""
    model = nn.Sequential(
        nn.Conv1d(1, width, 7, padding=3),
        *(Residual(width) for _ in range(depth)),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )
    return model.eval()


def waveforms(count: int, length: int = 48) -> tuple[Tensor, Tensor]:
    """Sine, square, sawtooth and triangle of random pitch and phase, with noise."""
    kind = torch.randint(4, (count,))
    turn = (torch.rand(count, 1) + torch.arange(length) * (0.04 + 0.06 * torch.rand(count, 1))) % 1
    shapes = torch.stack(
        [torch.sin(2 * torch.pi * turn), (turn < 0.5).float() * 2 - 1, 2 * turn - 1, 1 - 4 * (turn - 0.5).abs()],
    )
    wave = shapes[kind, torch.arange(count)]
    return (wave + 0.15 * torch.randn_like(wave)).unsqueeze(1), kind


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = load_model()
    if args.fixed:
        model.train()
    loader = DataLoader(TensorDataset(*waveforms(1280)), batch_size=32, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(3):
        total = 0.0
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(loader)
        print(f"epoch {epoch}: loss {total:.4f}")


if __name__ == "__main__":
    main()
