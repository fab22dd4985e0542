"""The residual networks for CIFAR-10 of He et al. 2015 (arXiv 1512.03385, section 4.2), with batch norm or without.

6n + 2 layers: a first convolution, three stages of n blocks of two with 16, 32 and 64 channels, the mean over each channel, a
classifier. Shortcuts have no weights (option A): where the shape changes, every second pixel is taken and channels of zeros are added.

A third kind has mean shift rejection in place of batch norm, as in the public code of Ruff, Beck and Bach 2019 (arXiv 1911.13173): see
`ScaledConvolution`, `Noise`, `reject_mean_shift` and `magnitude_penalty`. There, residual convolutions start at a scale of 0.8; that of
the first, 1, is our choice, and so is the rejected share of 0.95: their code has it between 0.9 and 0.99.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KINDS = ("batch", "none", "msr")
REJECTED = 0.95  # share of the slice means taken out of each gradient


class ScaledConvolution(nn.Conv2d):
    """A convolution by W * s: kernels start with zero spatial means and length 1, s is learned for each filter."""

    def __init__(self, inputs: int, outputs: int, stride: int, bias: bool, start: float) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1, bias=bias)
        self.scale = nn.Parameter(torch.full((outputs, 1, 1, 1), start))
        with torch.no_grad():
            self.weight.uniform_(-1.0, 1.0)
            self.weight -= self.weight.mean((2, 3), keepdim=True)
            self.weight /= self.weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            if bias:
                self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


class Noise(nn.Module):
    """Multiply each channel of each sample by U(0.9, 1.1) while training."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.empty(*x.shape[:2], 1, 1).uniform_(0.9, 1.1) if self.training else x


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut without weights."""

    def __init__(self, inputs: int, outputs: int, stride: int, kind: str) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, outputs - inputs
        self.noise = Noise() if kind == "msr" else nn.Identity()
        self.conv1, self.norm1 = convolution(inputs, outputs, stride, kind), norm(outputs, kind)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2, self.norm2 = convolution(outputs, outputs, 1, kind), norm(outputs, kind)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.noise(x)
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new_channels // 2, self.new_channels // 2))
        return self.relu2(y + shortcut)


class CifarResNet(nn.Module):
    """`depth` weight layers: 20, 56, 110, or another 6n + 2."""

    def __init__(self, depth: int, kind: str) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise ValueError(f"depth {depth} is not 6n + 2, such as {6 * max(blocks, 1) + 2}")
        self.conv1, self.norm1 = convolution(3, 16, 1, kind, is_first=True), norm(16, kind)
        self.relu = nn.ReLU(inplace=True)
        widths = [16] * (blocks + 1) + [32] * blocks + [64] * blocks
        self.blocks = nn.Sequential(*(Block(i, o, 1 if i == o else 2, kind) for i, o in pairwise(widths)))
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, 10)
        if kind == "msr":
            nn.init.xavier_uniform_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.relu(self.norm1(self.conv1(x))))
        return self.classifier(self.mean(x).flatten(1))


def convolution(inputs: int, outputs: int, stride: int, kind: str, is_first: bool = False) -> nn.Conv2d:
    if kind == "msr":
        return ScaledConvolution(inputs, outputs, stride, bias=is_first, start=1.0 if is_first else 0.8)
    made = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=kind == "none")  # a bias, where no norm has one
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def norm(channels: int, kind: str) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()


def scaled(model: nn.Module) -> Iterator[ScaledConvolution]:
    return (module for module in model.modules() if isinstance(module, ScaledConvolution))


def reject_mean_shift(model: CifarResNet) -> None:
    """Between backward and step: take most of the slice means out of the gradients of all kernels but the first."""
    for module in scaled(model):
        if module is not model.conv1 and module.weight.grad is not None:
            module.weight.grad -= REJECTED * module.weight.grad.mean((2, 3), keepdim=True)


def magnitude_penalty(model: CifarResNet) -> Tensor:
    """What takes the place of weight decay: it holds the length of every filter near 1."""
    return 5e-4 * sum(((module.weight.flatten(1).norm(dim=1) - 1.0) ** 2).sum() for module in scaled(model))
