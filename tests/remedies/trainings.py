"""Networks that people train, small, each with the loop around it: what remedies have to fit.

Those of timm and transformers are the libraries' own modules at small sizes, made without a download; where a library is missing they skip.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.remedies.networks import Block


class Training:
    """A model, its optimizers, and steps that a script might make.

    Args:
        model: the model.
        inputs: makes a batch; what is given to the model as keywords if it is a dictionary.
    """

    #: Whether weights are loaded before the optimizer is built.
    loads = False
    clips = False
    weight_decay = 0.0

    def __init__(self, model: nn.Module, inputs: Callable[[], Any]) -> None:
        self.model = model
        self.inputs = inputs
        self.copies: list[nn.Module] = []
        self.optimizers: list[torch.optim.Optimizer] = []
        self.steps = 0

    @property
    def models(self) -> list[nn.Module]:
        return [self.model]

    def build(self) -> None:
        """Build the optimizers: the moment at which remedies act."""
        if self.loads:
            self.model.load_state_dict(copy.deepcopy(self.model.state_dict()))
        self.optimizers = [torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=self.weight_decay)]

    def forwards(self) -> Iterator[Tensor]:
        """Run the models once on a batch each and yield what they return."""
        given = self.inputs()
        yield tensor_of(self.model(**given) if isinstance(given, dict) else self.model(given))

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        # A target far away: gradients that clipping has something to do with.
        sum((output - 3.0).square().mean() for output in self.forwards()).backward()  # type: ignore[union-attr]
        if self.clips:
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.after_step()

    def after_step(self) -> None:
        """What a script does once weights have moved."""


def tensor_of(output: Any) -> Tensor:
    """Return the first floating-point tensor in what a model returns."""
    if isinstance(output, Tensor):
        return output
    values = list(output.values()) if isinstance(output, dict) else list(output)
    return next(one for one in values if isinstance(one, Tensor) and one.is_floating_point())


class WithAverage(Training):
    """An average of the weights, made before the optimizer is built, and clipping of its own; weight decay."""

    clips = True
    weight_decay = 1e-4

    def build(self) -> None:
        self.copies = [copy.deepcopy(self.model).requires_grad_(False)]
        super().build()

    def after_step(self) -> None:
        with torch.no_grad():
            for mean, p in zip(self.copies[0].parameters(), self.model.parameters(), strict=True):
                mean.lerp_(p, 0.1)


class FromCheckpoint(Training):
    """Weights loaded before the optimizer is built."""

    loads = True


class InGroups(Training):
    """Matrices with weight decay, vectors without, and an optimizer of its own for the last layer."""

    def build(self) -> None:
        *body, head, bias = self.model.parameters()
        groups = [
            {"params": [p for p in body if p.dim() > 1], "weight_decay": 0.01},
            {"params": [p for p in body if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizers = [torch.optim.AdamW(groups, lr=1e-3), torch.optim.SGD([head, bias], lr=1e-3)]


class ByShape(Training):
    """Matrices by Muon, all else by AdamW."""

    def build(self) -> None:
        matrices, others = ([p for p in self.model.parameters() if (p.dim() == 2) is wanted] for wanted in (True, False))
        self.optimizers = [torch.optim.Muon(matrices, lr=1e-3), torch.optim.AdamW(others, lr=1e-3)]


class Adversarial(Training):
    """A generator and a discriminator as in DCGAN, with an optimizer each."""

    def __init__(self) -> None:
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(True),
            nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(True),
            nn.ConvTranspose2d(4, 3, 4, 2, 1),
            nn.Tanh(),
        )
        super().__init__(
            nn.Sequential(
                nn.Conv2d(3, 8, 4, 2, 1, bias=False),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(8, 8, 4, 2, 1, bias=False),
                nn.BatchNorm2d(8),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(8, 1, 4, bias=False),
            ),
            lambda: torch.randn(8, 8, 1, 1),
        )
        for one in (self.generator, self.model):
            for module in one.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.normal_(module.weight, 0.0, 0.02)

    @property
    def models(self) -> list[nn.Module]:
        return [self.generator, self.model]

    def build(self) -> None:
        self.optimizers = [torch.optim.Adam(one.parameters(), lr=2e-4, betas=(0.5, 0.999)) for one in self.models]

    def forwards(self) -> Iterator[Tensor]:
        yield self.model(self.generator(self.inputs())) * 10.0


def multilayer_perceptron() -> nn.Module:
    hidden = (layer for _ in range(3) for layer in (nn.Linear(12, 12), nn.ReLU()))
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), *hidden, nn.Linear(12, 3))


class Perceptron(nn.Module):
    """x + f(x), where f is an nn.Sequential."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual_perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 16), Perceptron(16), Perceptron(16), nn.Linear(16, 3))


def plain_network() -> nn.Module:
    hidden = (layer for _ in range(3) for layer in (nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True)))
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), *hidden, nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(4 * 64, 3))


class Residual(nn.Module):
    """A stem, three residual blocks and a classifier, without normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(6) for _ in range(3)))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class UNet(nn.Module):
    """Down, up by a transposed convolution, and the two concatenated."""

    def __init__(self) -> None:
        super().__init__()
        double = lambda i, o: nn.Sequential(  # noqa: E731
            nn.Conv2d(i, o, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(o, o, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.down1, self.down2 = double(3, 6), double(6, 8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.last = double(12, 6)
        self.out = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        coarse = self.up(self.down2(F.max_pool2d(fine, 2)))
        return self.out(self.last(torch.cat([fine, coarse], 1)))


class ActorCritic(nn.Module):
    """Two heads that are registered before what they stand on, one of them of one output, and a gate."""

    heads = ("actor", "critic")

    def __init__(self) -> None:
        super().__init__()
        self.actor, self.critic, self.gate = nn.Linear(12, 4), nn.Linear(12, 1), nn.Linear(12, 1)
        self.body = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 12), nn.ReLU())
        self.out = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        x = self.out(x * torch.sigmoid(self.gate(x)))
        return torch.cat([self.actor(x), self.critic(x)], 1)


class Recurrent(nn.Module):
    """Words, a recurrent layer of two levels and a classifier of its last output."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.body = kind(8, 12, num_layers=2, batch_first=True)
        self.fc = nn.Linear(12, 20)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.words(x))[0][:, -1])


class Encoder(nn.Module):
    """torch's own encoder over words."""

    def __init__(self, norm_first: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, activation="gelu", norm_first=norm_first)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(16, 20)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.words(x)))


def images(size: int = 8, batch: int = 8) -> Tensor:
    return torch.randn(batch, 3, size, size) + 1.0  # a mean shift to reject


def words() -> Tensor:
    return torch.randint(20, (8, 6))


def of_timm(name: str, size: int = 32, **settings: Any) -> Training:
    """A model of timm's. Its tests are small already; others are made small by their own settings."""
    create_model = library_of("timm").create_model
    return Training(create_model(name, num_classes=4, **settings), functools.partial(images, size, 4))


def mixer() -> Training:
    mixers = library_of("timm").models.mlp_mixer
    return Training(mixers.MlpMixer(num_classes=4, img_size=32, patch_size=8, embed_dim=16, num_blocks=2), functools.partial(images, 32, 4))


def of_transformers(kind: str, **settings: Any) -> Training:
    """A language model of transformers over a vocabulary of 20."""
    library = library_of("transformers")
    configuration = getattr(library, f"{kind}Config")(vocab_size=20, bos_token_id=0, eos_token_id=0, **settings)
    name = {"GPT2": "GPT2LMHeadModel", "Bert": "BertForMaskedLM", "Llama": "LlamaForCausalLM"}[kind]
    return Training(getattr(library, name)(configuration), lambda: {"input_ids": words()})


@functools.cache
def library_of(name: str) -> Any:
    """Import timm or transformers, or skip."""
    declare_missing_operators()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")


@functools.cache
def declare_missing_operators() -> None:
    """Let both be imported where torchvision was built for another torch than the one here; no model uses what is compiled in it."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for module in [one for one in sys.modules if one.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        for operator in ("nms", "qnms"):
            _DECLARED.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


_DECLARED = torch.library.Library("torchvision", "FRAGMENT")

TRAININGS: dict[str, Callable[[], Training]] = {
    "MLP": lambda: Training(multilayer_perceptron(), lambda: torch.randn(16, 6)),
    "MLP, AdamW and SGD, groups": lambda: InGroups(multilayer_perceptron(), lambda: torch.randn(16, 6)),
    "actor and critic": lambda: Training(ActorCritic(), lambda: torch.randn(16, 6)),
    "plain CNN": lambda: Training(plain_network(), images),
    "residual CNN": lambda: Training(Residual(), images),
    "residual CNN, average, clipping": lambda: WithAverage(Residual(), images),
    "residual CNN, checkpoint": lambda: FromCheckpoint(Residual(), images),
    "U-Net": lambda: Training(UNet(), images),
    "DCGAN, two optimizers": Adversarial,
    "LSTM": lambda: Training(Recurrent(nn.LSTM), words),
    "GRU": lambda: Training(Recurrent(nn.GRU), words),
    "TransformerEncoder": lambda: Training(Encoder(), words),
    "TransformerEncoder, norms behind": lambda: Training(Encoder(norm_first=False), words),
    "residual MLP, Muon and AdamW": lambda: ByShape(residual_perceptron(), lambda: torch.randn(16, 10)),
    "timm ResNet": lambda: of_timm("resnet18", layers=(1, 1, 1, 1), channels=(8, 8, 16, 16)),
    "timm ConvNeXt": lambda: of_timm("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 16, 16)),
    "timm ViT": lambda: of_timm("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2),
    "timm MLP-Mixer": mixer,
    "timm EfficientNet": lambda: of_timm("test_efficientnet"),
    "GPT-2": lambda: of_transformers("GPT2", n_embd=16, n_layer=2, n_head=2, n_positions=16),
    "BERT": lambda: of_transformers(
        "Bert", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=16
    ),
    "Llama": lambda: of_transformers(
        "Llama",
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    ),
}
#: Those that need neither timm nor transformers.
OWN = tuple(name for name in TRAININGS if not name.startswith(("timm", "GPT", "BERT", "Llama")))
