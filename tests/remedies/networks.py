"""Small networks and a loop that trains them, the same with and without a remedy."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu2(self.conv1(self.relu1(x))))
        y += x
        return y


class Network(nn.Module):
    """A first convolution, a residual block, a 1x1 convolution and a classifier, over (N, 3, 6, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.block = Block(4)
        self.narrow = nn.Conv2d(4, 5, 1)
        self.relu = nn.ReLU()
        self.classifier = nn.Linear(5 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.relu(self.narrow(self.block(self.first(x)))).flatten(1))


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> Network:
    torch.manual_seed(seed)
    return Network().to(dtype)


def batch(step: int = 0, dtype: torch.dtype = torch.float32, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(size, 3, 6, 6, generator=generator, dtype=dtype) + 1.0  # a mean shift to reject
    return images, torch.randint(3, (size,), generator=generator)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, edit: Callable[[], None] = lambda: None, *, backwards: int = 1
) -> list[float]:
    """Train; ``edit`` runs between backward and step."""
    losses = []
    dtype = next(model.parameters()).dtype
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(backwards):
            images, labels = batch(step * backwards + part, dtype)
            loss = F.cross_entropy(model(images), labels) / backwards
            loss.backward()
        edit()
        optimizer.step()
        losses.append(loss.item())
    return losses


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
