"""A deep residual network for 16x16 grey images, with or without batch norm.

The pre-activation network of He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027), with
the stages of the CIFAR networks in arXiv 1512.03385, section 4.2: a first convolution, three stages of residual
blocks with 16, 32 and 64 channels, a linear classifier. Depth counts as in the papers: 6n + 2 layers make n blocks of
two convolutions in each stage. Without batch norm nothing holds the size of the activations: under He initialisation
each block adds a branch about as large as its input, so the signal grows block by block.
"""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.bn1 = norm(inputs)
        self.relu1 = nn.ReLU()  # not in place: the shortcut still needs x
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same_shape = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same_shape else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu1(self.bn1(x)))
        y = self.conv2(self.relu2(self.bn2(y)))
        y += self.shortcut(x)
        return y


class ResidualNetwork(nn.Module):
    """`depth` weight layers from the first convolution to the classifier: 8, 14, 20, 26, ... 56, 110."""

    def __init__(self, depth: int = 26, batch_norm: bool = False, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise ValueError(f"depth {depth} is not 6n + 2, such as {6 * max(blocks, 1) + 2}")
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.stage1 = stage(16, 16, 1, blocks, batch_norm)
        self.stage2 = stage(16, 32, 2, blocks, batch_norm)
        self.stage3 = stage(32, 64, 2, blocks, batch_norm)
        self.bn = nn.BatchNorm2d(64) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(64 * 4 * 4, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.conv1(x))))
        return self.classifier(self.flatten(self.relu(self.bn(x))))


def stage(inputs: int, outputs: int, stride: int, blocks: int, batch_norm: bool) -> nn.Sequential:
    """Name the blocks from 1, as the papers do: `stage2.block3.conv1`."""
    layers = nn.Sequential()
    for number in range(1, blocks + 1):
        layers.add_module(f"block{number}", Block(inputs, outputs, stride, batch_norm))
        inputs, stride = outputs, 1
    return layers
