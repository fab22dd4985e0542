"""Twelve trainings on which nothing of a what-if was tuned, for ``what_if_structures.py``: written before any answer on them was seen.

Other structures, losses and optimizers than those of ``what_if_training.py`` and ``what_if_recipes.py``: convolutions in one dimension,
tags of words, shifted windows of attention, dense connections, excitation of channels, a sparse code, pairs with a margin, a decoder that
reads a memory, factors of a matrix, a graph, distances between sorted samples, and an optimizer of the script's own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sample_runs"))
import digits  # type: ignore[import-not-found]

WORDS, LENGTH = 20, 10


def drawn(count: int, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of handwritten digits, 16 by 16."""
    (images, labels), _ = digits.load(side=16)
    yield from digits.batches(images, labels, count, steps)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Make a step."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def waves(steps: int) -> list[nn.Module]:
    """Convolutions in one dimension, over the rows of a digit, with group norm; Adamax."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [nn.Conv1d(inputs, outputs, 5, stride, 2), nn.GroupNorm(4, outputs), nn.GELU()]

    model = nn.Sequential(
        *(*block(16, 24, 1), *block(24, 32, 2), *block(32, 32, 1)), nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)
    for x, y in drawn(48, steps):
        descend(optimizer, F.cross_entropy(model(x[:, 0]), y))
    return [model]


class Tagger(nn.Module):
    """Reads words forwards and backwards, and gives each a tag."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.reader = nn.Embedding(WORDS, 16), nn.LSTM(16, 16, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(32, 3)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.tags(self.reader(self.words(words))[0])  # type: ignore[no-any-return]


def tagger(steps: int) -> list[nn.Module]:
    """A word's tag says whether its neighbours are greater, less, or on both sides of it; sentences end early; NAdam."""
    model = Tagger()
    optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        words = torch.randint(WORDS, (24, LENGTH))
        before, after = words.roll(1, 1), words.roll(-1, 1)
        tags = (before > words).long() + (after > words).long()
        tags[torch.arange(LENGTH) >= torch.randint(4, LENGTH + 1, (24, 1))] = -100
        descend(optimizer, F.cross_entropy(model(words).flatten(0, 1), tags.flatten()))
    return [model]


class Windows(nn.Module):
    """Attention within windows of 4 by 4 places, which may be shifted, with a learned bias for each pair of places."""

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.norms, self.shift = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)]), shift
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(0.02 * torch.randn(2, 16, 16))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        count, side, _, width = x.shape
        x = x.roll((-self.shift, -self.shift), (1, 2))
        windows = x.view(count, side // 4, 4, side // 4, 4, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, width)
        q, k, v = self.qkv(windows).view(-1, 16, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        seen = ((q @ k.transpose(-2, -1)) / math.sqrt(width // 2) + self.bias).softmax(-1) @ v
        y = self.out(seen.transpose(1, 2).reshape(-1, 16, width))
        y = y.view(count, side // 4, side // 4, 4, 4, width).permute(0, 1, 3, 2, 4, 5).reshape(count, side, side, width)
        return y.roll((self.shift, self.shift), (1, 2))  # type: ignore[no-any-return]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))  # type: ignore[no-any-return]


def windows(steps: int) -> list[nn.Module]:
    """Windows of attention, straight and shifted, over patches of 2 by 2; AdamW with a warm-up of ten steps."""
    patches, body = nn.Conv2d(1, 24, 2, 2), nn.Sequential(Windows(24, 0), Windows(24, 2), nn.LayerNorm(24))
    head = nn.Linear(24, 10)
    model = nn.ModuleList([patches, body, head])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
    for x, y in drawn(32, steps):
        descend(optimizer, F.cross_entropy(head(body(patches(x).permute(0, 2, 3, 1)).mean((1, 2))), y))
        schedule.step()
    return [model]


class Dense(nn.Module):
    """Each convolution reads what all before it gave."""

    def __init__(self, width: int, growth: int, layers: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width + growth * number) for number in range(layers))
        self.convolutions = nn.ModuleList(nn.Conv2d(width + growth * number, growth, 3, padding=1, bias=False) for number in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = torch.cat([x, convolution(F.relu(norm(x)))], 1)
        return x


def dense(steps: int) -> list[nn.Module]:
    """Dense blocks with a transition between them; Nesterov with decay, rates by milestones."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, 2, 1, bias=False), Dense(12, 6, 4), nn.Conv2d(36, 18, 1, bias=False), nn.AvgPool2d(2), Dense(18, 6, 4)),
        *(nn.BatchNorm2d(42), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(42, 10)),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, 3 * steps // 4])
    for x, y in drawn(32, steps):
        descend(optimizer, F.cross_entropy(model(x), y))
        schedule.step()
    return [model]


class Excited(nn.Module):
    """A convolution whose channels are weighted by what their means say."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.squeeze, self.excite = nn.Conv2d(outputs, outputs // 4, 1), nn.Conv2d(outputs // 4, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.convolution(x))
        return x * self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))).sigmoid()  # type: ignore[no-any-return]


def excited(steps: int) -> list[nn.Module]:
    """Squeeze and excitation without a norm; RMSprop with momentum."""
    model = nn.Sequential(
        *(Excited(1, 16, 1), Excited(16, 16, 2), Excited(16, 32, 2), Excited(32, 32, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, 10)),
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, momentum=0.9, eps=1e-3)
    for x, y in drawn(32, steps):
        descend(optimizer, F.cross_entropy(model(x), y))
    return [model]


def coded(steps: int) -> list[nn.Module]:
    """A convolutional autoencoder whose code is to be sparse; Adagrad."""
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 24), nn.ReLU())
    )
    decoder = nn.Sequential(
        *(nn.Linear(24, 256), nn.ReLU(), nn.Unflatten(1, (16, 4, 4))),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(16, 8, 3, padding=1), nn.ReLU()),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(8, 1, 3, padding=1)),
    )
    optimizer = torch.optim.Adagrad([*encoder.parameters(), *decoder.parameters()], lr=0.02)
    for x, _ in drawn(48, steps):
        code = encoder(x)
        descend(optimizer, F.mse_loss(decoder(code), x) + 1e-3 * code.abs().mean())
    return [encoder, decoder]


def paired(steps: int) -> list[nn.Module]:
    """Two digits are to lie near one another where they are the same, a margin apart where not; Adam with the greatest second moment."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 12, 5, 2, 2), nn.Tanh(), nn.Conv2d(12, 16, 3, 2, 1), nn.Tanh(), nn.Flatten(), nn.Linear(256, 32), nn.Tanh()),
        nn.Linear(32, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, amsgrad=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.7)
    for x, y in drawn(64, steps):
        one, other = model(x).chunk(2)
        is_same = (y[:32] == y[32:]).float()
        distance = F.pairwise_distance(one, other)
        descend(optimizer, (is_same * distance.square() + (1 - is_same) * F.relu(2.0 - distance).square()).mean())
        schedule.step()
    return [model]


class Reader(nn.Module):
    """A decoder, normed behind each sublayer, that reads a memory of words."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 24), nn.Embedding(WORDS + 1, 24)
        self.places = nn.Parameter(0.1 * torch.randn(LENGTH, 24))
        self.layers = nn.TransformerDecoder(nn.TransformerDecoderLayer(24, 2, 48, 0.1, batch_first=True), 2)
        self.head = nn.Linear(24, WORDS)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)
        read = self.layers(self.target(target) + self.places, self.source(source) + self.places, tgt_mask=mask, tgt_is_causal=True)
        return self.head(read)  # type: ignore[no-any-return]


def reversed_words(steps: int) -> list[nn.Module]:
    """A decoder says a sentence backwards; gradients clipped by value, Adam with rates that fall with the root of time."""
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 8, (8 / (step + 1)) ** 0.5))
    for _ in range(steps):
        source = torch.randint(4, (24, LENGTH))
        target = source.flip(1)
        given = torch.cat([torch.full((24, 1), WORDS), target[:, :-1]], 1)
        loss = F.cross_entropy(model(source, given).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        schedule.step()
    return [model]


class Factors(nn.Module):
    """A score for each pair: a product of factors, and two offsets."""

    def __init__(self, people: int, things: int) -> None:
        super().__init__()
        self.people, self.things = nn.Embedding(people, 6), nn.Embedding(things, 6)
        self.lenience, self.worth = nn.Embedding(people, 1), nn.Embedding(things, 1)

    def forward(self, people: torch.Tensor, things: torch.Tensor) -> torch.Tensor:
        product = (self.people(people) * self.things(things)).sum(1)
        return product + self.lenience(people)[:, 0] + self.worth(things)[:, 0]  # type: ignore[no-any-return]


def factors(steps: int) -> list[nn.Module]:
    """Scores of low rank, noisy, are factorised; averaged SGD with decay."""
    model = Factors(40, 30)
    scores = torch.randn(40, 3) @ torch.randn(3, 30) / 3**0.5 + 0.1 * torch.randn(40, 30)
    optimizer = torch.optim.ASGD(model.parameters(), lr=1.0, weight_decay=1e-4)
    for _ in range(steps):
        people, things = torch.randint(40, (128,)), torch.randint(30, (128,))
        descend(optimizer, F.mse_loss(model(people, things), scores[people, things]))
    return [model]


def graph(steps: int) -> list[nn.Module]:
    """Two graph convolutions over a sparse adjacency, all nodes at once, some of them with labels; dropout, RAdam with decay."""
    labels = torch.arange(160) % 4
    likely = torch.where(labels[:, None] == labels, 0.10, 0.01)
    links = (torch.rand(160, 160) < likely).float()
    links = ((links + links.T) > 0).float().fill_diagonal_(1.0)
    scale = links.sum(1).rsqrt()
    adjacency = (scale[:, None] * links * scale).to_sparse()
    features = torch.randn(160, 16) + 0.7 * torch.randn(4, 16)[labels]
    known = torch.rand(160) < 0.5
    first, second = nn.Linear(16, 24), nn.Linear(24, 4)
    optimizer = torch.optim.RAdam([*first.parameters(), *second.parameters()], lr=0.01, weight_decay=5e-4)
    for _ in range(steps):
        hidden = F.dropout(F.relu(torch.sparse.mm(adjacency, first(features))), 0.5)
        out = torch.sparse.mm(adjacency, second(hidden))
        descend(optimizer, F.cross_entropy(out[known], labels[known]))
    return [first, second]


def sliced(steps: int) -> list[nn.Module]:
    """A generator without a critic: samples and data are sorted along random lines, and their distances made small; Adadelta."""
    model = nn.Sequential(nn.Linear(4, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 2))
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    for _ in range(steps):
        turn = 2 * math.pi * torch.randint(5, (96,)) / 5
        real = torch.stack([turn.cos(), turn.sin()], 1) + 0.1 * torch.randn(96, 2)
        lines = F.normalize(torch.randn(2, 16), dim=0)
        made = model(torch.randn(96, 4))
        descend(optimizer, ((made @ lines).sort(0).values - (real @ lines).sort(0).values).square().mean())
    return [model]


class Signs(torch.optim.Optimizer):
    """Steps by the sign of a mixture of the gradient and its average (Lion)."""

    def __init__(self, parameters: Any, lr: float, betas: tuple[float, float] = (0.9, 0.99), decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            fast, slow = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
                parameter.mul_(1 - group["lr"] * group["decay"])
                parameter.add_((fast * average + (1 - fast) * parameter.grad).sign_(), alpha=-group["lr"])
                average.lerp_(parameter.grad, 1 - slow)


def separable(steps: int) -> list[nn.Module]:
    """Depthwise convolutions, each before a pointwise one, with batch norm; Lion, smoothed labels, a cosine."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        depthwise = [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6()]
        return [*depthwise, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()]

    model = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU6(), *block(12, 24, 1), *block(24, 32, 2), *block(32, 32, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )
    optimizer = Signs(model.parameters(), 5e-4, decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for x, y in drawn(32, steps):
        descend(optimizer, F.cross_entropy(model(x), y, label_smoothing=0.1))
        schedule.step()
    return [model]


FRESH: dict[str, Callable[[int], list[nn.Module]]] = {
    "waves-adamax": waves,
    "tagger-nadam": tagger,
    "windows-adamw": windows,
    "dense-nesterov": dense,
    "excited-rmsprop": excited,
    "coded-adagrad": coded,
    "paired-amsgrad": paired,
    "reversed-adam": reversed_words,
    "factors-asgd": factors,
    "graph-radam": graph,
    "sliced-adadelta": sliced,
    "separable-lion": separable,
}
