"""The four trainings whose recording is measured: one function each, returning a step to call again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

Step = Callable[[], None]


class Workload(NamedTuple):
    """A model and one step of its training."""

    model: nn.Module
    step: Step


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, with in-place activations as real networks have them."""

    def __init__(self, width_in: int, width: int, stride: int, norm: bool) -> None:
        super().__init__()
        make_norm = nn.BatchNorm2d if norm else (lambda _: nn.Identity())
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=not norm)
        self.norm1 = make_norm(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=not norm)
        self.norm2 = make_norm(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(width_in, width, 1, stride) if stride > 1 or width_in != width else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu2(y)


def residual_cnn(norm: bool, depth_per_stage: int = 3) -> nn.Module:
    """ResNet-20 for 32x32 images."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(inplace=True)]
    width = 16
    for stage in range(3):
        for block in range(depth_per_stage):
            layers.append(Block(width, 16 * 2**stage, 2 if stage and not block else 1, norm))
            width = 16 * 2**stage
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    if not norm:
        for module in model.modules():
            if isinstance(module, Block):
                nn.init.zeros_(module.conv2.weight)  # otherwise it diverges while it is timed
    return model


def _classifier(model: nn.Module, inputs: torch.Tensor, classes: int, rate: float) -> Workload:
    target = torch.randint(0, classes, (inputs.shape[0],))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(inputs), target).backward()
        optimizer.step()

    return Workload(model, step)


def cnn_batch_norm() -> Workload:
    """(a) 20-layer residual CNN with batch norm, 128 x 3 x 32 x 32."""
    return _classifier(residual_cnn(True), torch.randn(128, 3, 32, 32), 10, 0.01)


def cnn_plain() -> Workload:
    """(d) the same without normalisation."""
    return _classifier(residual_cnn(False), torch.randn(128, 3, 32, 32), 10, 0.001)


def transformer() -> Workload:
    """(b) 6-layer transformer, d = 256, T = 128, batch 16."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True, norm_first=True)
    model = nn.Sequential(nn.Embedding(512, 256), nn.TransformerEncoder(layer, 6, enable_nested_tensor=False), nn.Linear(256, 512))
    tokens = torch.randint(0, 512, (16, 128))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()

    return Workload(model, step)


def mlp() -> Workload:
    """(c) small MLP whose bare step takes about a millisecond."""
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(128, 128), nn.ReLU()]
    return _classifier(nn.Sequential(*layers, nn.Linear(128, 10)), torch.randn(128, 128), 10, 0.01)


WORKLOADS: dict[str, Callable[[], Workload]] = {"a": cnn_batch_norm, "b": transformer, "c": mlp, "d": cnn_plain}
