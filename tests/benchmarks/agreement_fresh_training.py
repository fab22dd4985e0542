"""The trainings on which a frozen rule is tried: other networks, losses and optimizers than those of `agreement_training.py`.

python tests/benchmarks/agreement_fresh_training.py --model unet --optimizer momentum --norm group --learning-rate 0.05
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


class UNet(nn.Module):
    """One level down and up, with a skip connection; it takes noise off an image."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.entry, self.down = self._block(1, 12, 1, norm), self._block(12, 24, 2, norm)
        self.middle = self._block(24, 24, 1, norm)
        self.up = nn.ConvTranspose2d(24, 12, 2, 2)
        self.exit = nn.Sequential(self._block(24, 12, 1, norm), nn.Conv2d(12, 1, 1))

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int, norm: str) -> nn.Sequential:
        normalisation = {"group": lambda: nn.GroupNorm(4, outputs), "batch": lambda: nn.BatchNorm2d(outputs)}.get(norm, nn.Identity)
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), normalisation(), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        at_full_size = self.entry(x)
        deep = self.up(self.middle(self.down(at_full_size)))
        y: Tensor = self.exit(torch.cat([at_full_size, deep], 1))
        return y


class Mixer(nn.Module):
    """Two MLP-mixer layers over 16 patches of 4x4, normalised before each sublayer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 32, 4, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(5))
        self.tokens = nn.ModuleList(nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(2))
        self.channels = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(2))
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for i in range(2):
            x = x + self.tokens[i](self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + self.channels[i](self.norms[2 * i + 1](x))
        y: Tensor = self.classifier(self.norms[4](x).mean(1))
        return y


class RowGRU(nn.Module):
    """Two GRU layers that read an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(16, 48, 2, batch_first=True)
        self.classifier = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.gru(x.squeeze(1))[0][:, -1])
        return y


class VAE(nn.Module):
    """A variational autoencoder with 8 latent variables."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 256))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(latent), mean, log_variance


class PixelTransformer(nn.Module):
    """Two causal layers that predict each pixel's grey level, of eight, from those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 32)
        self.position = nn.Parameter(0.02 * torch.randn(63, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False)
        self.head = nn.Linear(32, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        y: Tensor = self.head(self.layers(self.embedding(tokens) + self.position, mask=mask, is_causal=True))
        return y


class ResidualMLP(nn.Module):
    """Four residual blocks of two layers on the pixels."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.entry = nn.Linear(256, 64)
        normalisation = nn.LayerNorm(64) if norm == "layer" else nn.Identity()
        self.blocks = nn.ModuleList(nn.Sequential(normalisation, nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(4))
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        y: Tensor = self.classifier(x)
        return y


class RowRNN(nn.Module):
    """One Elman layer that reads an image row by row; its states are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(16, 64, batch_first=True)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.rnn(x.squeeze(1))[0].mean(1))
        return y


def autoencoder(norm: str) -> nn.Sequential:
    """Two convolutions down to 4x4 and two up again."""

    def normalised(width: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if norm == "batch" else []

    down = [nn.Conv2d(1, 8, 4, 2, 1), *normalised(8), nn.ReLU(), nn.Conv2d(8, 8, 4, 2, 1), *normalised(8), nn.ReLU()]
    return nn.Sequential(*down, nn.ConvTranspose2d(8, 8, 4, 2, 1), *normalised(8), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1))


def separable_cnn(norm: str) -> nn.Sequential:
    """Three depthwise convolutions, each followed by a pointwise one, and the mean at the end."""
    layers: list[nn.Module] = [nn.Conv2d(1, 24, 3, 2, 1), nn.ReLU()]
    for inputs, width, stride in ((24, 32, 1), (32, 48, 2), (48, 64, 1)):
        normalisation = [nn.BatchNorm2d(width)] if norm == "batch" else []
        layers += [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs), nn.Conv2d(inputs, width, 1), *normalisation, nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def deep_mlp(inputs: int, outputs: int, norm: str, depth: int, width: int, activation: type[nn.Module]) -> nn.Sequential:
    """Hidden layers in a row."""
    normalisation = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}.get(norm)
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers += [nn.Linear(inputs if i == 0 else width, width), *([normalisation(width)] if normalisation else []), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def pooled_cnn(norm: str) -> nn.Sequential:
    """Three convolutions, leaky, with max pooling between them and the mean at the end."""
    layers: list[nn.Module] = []
    for inputs, width in ((1, 16), (16, 32), (32, 48)):
        normalisation = [nn.BatchNorm2d(width)] if norm == "batch" else []
        layers += [nn.Conv2d(inputs, width, 3, padding=1), *normalisation, nn.LeakyReLU(0.1), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 4, 10))


def build(model: str, norm: str) -> nn.Module:
    """Return one of the networks."""
    makers = {
        "unet": lambda: UNet(norm),
        "mixer": Mixer,
        "gru": RowGRU,
        "vae": VAE,
        "pixels": PixelTransformer,
        "tanh": lambda: deep_mlp(256, 10, norm, 8, 64, nn.Tanh),
        "deep": lambda: deep_mlp(256, 10, norm, 10, 96, nn.ReLU),
        "regression": lambda: deep_mlp(4, 1, norm, 3, 64, nn.Tanh),
        "pooled": lambda: pooled_cnn(norm),
        "sigmoid": lambda: deep_mlp(256, 10, norm, 1, 128, nn.Sigmoid),
        "wide": lambda: deep_mlp(256, 10, norm, 2, 512, nn.ELU),
        "resmlp": lambda: ResidualMLP(norm),
        "rnn": RowRNN,
        "autoencoder": lambda: autoencoder(norm),
        "separable": lambda: separable_cnn(norm),
    }
    network: nn.Module = makers[model]()
    return network


def loss_of(model: str, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of one batch."""
    if model == "unet":
        return F.mse_loss(network(images + 0.5 * torch.randn_like(images)), images)
    if model == "autoencoder":
        return F.mse_loss(network(images), images)
    if model == "vae":
        ink = (images - images.min()) / (images.max() - images.min())
        shown, mean, log_variance = network(ink)
        missed = F.binary_cross_entropy_with_logits(shown, ink.flatten(1), reduction="sum")
        return (missed + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()) / len(ink)
    if model == "pixels":
        small = F.avg_pool2d(images, 2).flatten(1)
        tokens = ((small - small.min()) / (small.max() - small.min()) * 7.99).long()
        return F.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    if model == "regression":
        x = torch.rand(len(images), 4) * 2 - 1
        return F.mse_loss(network(x), torch.sin(3 * x[:, :1]) * x[:, 1:2] + x[:, 2:3] * x[:, 3:])
    return F.cross_entropy(network(images), labels)


def make_optimizer(name: str, network: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Return one of the optimizers."""
    if name in ("adam", "adamw"):
        return (torch.optim.Adam if name == "adam" else torch.optim.AdamW)(network.parameters(), lr=rate)
    if name == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=rate)
    momentum = 0.0 if name == "sgd" else 0.9
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum, nesterov=name == "nesterov")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = ["unet", "mixer", "gru", "vae", "pixels", "tanh", "deep", "regression", "pooled"]
    models += ["sigmoid", "wide", "resmlp", "rnn", "autoencoder", "separable"]
    parser.add_argument("--model", choices=models, default="unet")
    parser.add_argument("--optimizer", choices=["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"], default="sgd")
    parser.add_argument("--norm", choices=["none", "batch", "group", "layer"], default="none")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    (images, labels), _ = digits.load(side=16)
    network = build(args.model, args.norm)
    optimizer = make_optimizer(args.optimizer, network, args.learning_rate)
    for step, (batch, target) in enumerate(digits.batches(images, labels, args.batch, args.steps)):
        loss = loss_of(args.model, network, batch, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step:3d}  loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()
