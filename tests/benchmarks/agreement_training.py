"""The training that `agreement.py` records and tries: a small network on the handwritten digits, unaware of bnprobe.

python tests/benchmarks/agreement_training.py --model residual --optimizer momentum --norm batch --learning-rate 0.05
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_runs"))

import digits
from residual_network import ResidualNetwork


def plain_cnn(norm: str) -> nn.Sequential:
    """Six 3x3 convolutions in a row, each followed by what `norm` says and a ReLU."""
    layers: list[nn.Module] = []
    channels = 1
    for width, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)):
        convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=norm != "batch")
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        normalisation = {"batch": lambda width: nn.BatchNorm2d(width), "group": lambda width: nn.GroupNorm(4, width)}.get(norm)
        layers += [convolution, *([normalisation(width)] if normalisation else []), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, 10))


def mlp(norm: str) -> nn.Sequential:
    """Four hidden layers of 128 units on the pixels."""
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 256
    for _ in range(4):
        linear = nn.Linear(inputs, 128)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        normalisation = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}.get(norm)
        layers += [linear, *([normalisation(128)] if normalisation else []), nn.ReLU()]
        inputs = 128
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


class Transformer(nn.Module):
    """Two encoder layers over the 16 rows of an image, normalised before each sublayer or after it."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.embedding = nn.Linear(16, 64)
        self.position = nn.Parameter(0.02 * torch.randn(16, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True, norm_first=norm != "post")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.encoder(self.embedding(x.squeeze(1)) + self.position).mean(1))
        return y


class RowLSTM(nn.Module):
    """One LSTM layer that reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 64, batch_first=True)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.lstm(x.squeeze(1))[0][:, -1])
        return y


def build(model: str, norm: str) -> nn.Module:
    """Return one of the networks."""
    if model == "cnn":
        return plain_cnn(norm)
    if model == "residual":
        return ResidualNetwork(14, batch_norm=norm == "batch")
    if model == "mlp":
        return mlp(norm)
    return Transformer(norm) if model == "transformer" else RowLSTM()


def make_optimizer(name: str, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Return one of the optimizers; no weight decay but AdamW's own."""
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=rate)
    if name == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=rate)
    momentum = 0.0 if name == "sgd" else 0.9
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, nesterov=name == "nesterov")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["cnn", "residual", "mlp", "transformer", "lstm"], default="cnn")
    parser.add_argument("--optimizer", choices=["sgd", "momentum", "nesterov", "adamw", "rmsprop"], default="sgd")
    norms = ["none", "batch", "group", "layer", "pre", "post"]
    parser.add_argument("--norm", choices=norms, default="none", help="group is the CNN's, layer the MLP's, pre and post the transformer's")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    (images, labels), _ = digits.load(side=16)
    model = build(args.model, args.norm)
    optimizer = make_optimizer(args.optimizer, model, args.learning_rate)
    for step, (batch, target) in enumerate(digits.batches(images, labels, args.batch, args.steps)):
        loss = F.cross_entropy(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step:3d}  loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()
