"""A training for the benchmark of the what-if: a kind of network on digits, with an optimizer.

python tests/benchmarks/what_if_training.py NETWORK OPTIMIZER RATE STEPS [BATCH]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sample_runs"))
import digits  # type: ignore[import-not-found]

CLASSES = 10


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class Residual(nn.Module):
    """x + f(x), f being two convolutions."""

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.relu(self.norm(self.first(x))))  # type: ignore[no-any-return]


class Sequence(nn.Module):
    """A transformer over patches."""

    def __init__(self, width: int = 32, heads: int = 2, hidden: int = 64) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.places = nn.Parameter(0.02 * torch.randn(16, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, hidden, 0.1, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))  # type: ignore[no-any-return]


class ConvNext(nn.Module):
    """A block of depthwise convolution, layer norm, and two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class Mixer(nn.Module):
    """Mixes places, then channels."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.places, self.channels = nn.Linear(places, places), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + F.gelu(self.places(self.norms[0](x).transpose(1, 2))).transpose(1, 2)
        return x + F.gelu(self.channels(self.norms[1](x)))


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix, self.head = nn.Conv2d(1, 24, 4, 4), nn.Sequential(Mixer(16, 24), Mixer(16, 24)), nn.Linear(24, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.patches(x).flatten(2).transpose(1, 2)).mean(1))  # type: ignore[no-any-return]


class Rows(nn.Module):
    """A recurrent network over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(16, 32, batch_first=True), nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x[:, 0])[0][:, -1])  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Down, up, and across, with batch norm; it tells the class from its finest features."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(conv(1, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.middle = nn.Sequential(conv(8, 16, 2), nn.BatchNorm2d(16), nn.ReLU(), conv(16, 16), nn.BatchNorm2d(16), nn.ReLU())
        self.up = nn.Sequential(conv(24, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8 * 16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.down(x)
        coarse = F.interpolate(self.middle(fine), scale_factor=2.0)
        return self.head(F.avg_pool2d(self.up(torch.cat([fine, coarse], 1)), 4).flatten(1))  # type: ignore[no-any-return]


def stack(widths: list[int], pool: int, norm: bool = False) -> nn.Sequential:
    """Plain convolutions in a row."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(zip([1, *widths], widths, strict=False)):
        layers += [conv(inputs, outputs), *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]
        if number % pool == pool - 1:
            layers.append(nn.MaxPool2d(2))
    side = 16 >> (len(widths) // pool)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, CLASSES))


NETWORKS = {
    "plain": lambda: stack([8, 16, 16, 24, 24, 32], 2),
    "vgg": lambda: stack([8, 8, 16, 16, 32, 32, 32, 32], 2),
    "residual": lambda: nn.Sequential(
        conv(1, 12), *(Residual(12, False) for _ in range(4)), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, CLASSES)
    ),
    "residual-norm": lambda: nn.Sequential(
        conv(1, 12), *(Residual(12, True) for _ in range(3)), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, CLASSES)
    ),
    "transformer": Sequence,
    "wide-transformer": lambda: Sequence(192, 6, 768),
    "convnext": lambda: nn.Sequential(
        nn.Conv2d(1, 24, 2, 2), ConvNext(24), ConvNext(24), ConvNext(24), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(96, CLASSES)
    ),
    "mixer": Patches,
    "recurrent": Rows,
    "unet": UNet,
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES)
    ),
}
OPTIMIZERS = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr),
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    "nesterov": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr),
    "rmsprop": lambda parameters, lr: torch.optim.RMSprop(parameters, lr),
    "adagrad": lambda parameters, lr: torch.optim.Adagrad(parameters, lr),
}


def main() -> None:
    """Train."""
    network, optimizer, rate, steps, *batch = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    (images, labels), _ = digits.load(side=16)
    model = NETWORKS[network]()  # type: ignore[no-untyped-call]
    descent = OPTIMIZERS[optimizer](model.parameters(), float(rate))  # type: ignore[no-untyped-call]
    for x, y in digits.batches(images, labels, int(batch[0]) if batch else 64, int(steps)):
        descent.zero_grad()
        F.cross_entropy(model(x), y).backward()
        descent.step()


if __name__ == "__main__":
    main()
