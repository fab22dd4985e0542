"""A deep residual network for small grey images, with or without batch norm.

The CIFAR network of He et al. 2015 (arXiv 1512.03385, section 4.2): a first convolution, then three stages of
residual blocks with 16, 32 and 64 channels, and a linear classifier. Depth counts as in the paper: 6n + 2 layers make
n blocks of two convolutions in each stage. Without batch norm nothing holds the size of the activations: under He
initialisation each block adds a branch as large as its input, so the signal doubles in energy block by block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False)).append(norm(outputs))
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu2(y)


class ResidualNetwork(nn.Module):
    def __init__(self, depth: int = 26, batch_norm: bool = False, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise SystemExit(f"depth {depth} is not 6n + 2; use 8, 14, 20, 26, 32, ...")
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16) if batch_norm else nn.Identity()
        self.relu1 = nn.ReLU(inplace=True)
        self.stage1 = self._stage(16, 16, 1, blocks, batch_norm)
        self.stage2 = self._stage(16, 32, 2, blocks, batch_norm)
        self.stage3 = self._stage(32, 64, 2, blocks, batch_norm)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int, blocks: int, batch_norm: bool) -> nn.Sequential:
        stage = nn.Sequential()
        for i in range(1, blocks + 1):
            stage.add_module(f"block{i}", Block(inputs, outputs, stride, batch_norm))
            inputs, stride = outputs, 1
        return stage

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.classifier(torch.flatten(self.pool(x), 1))
