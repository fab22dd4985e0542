"""The fault library: which program has which fault, where it shows, and from which step on.

Every program is a training script as a person would write it, with `--seed`; one with a fault has `--fixed`, which removes exactly
that fault, so that it gives a hit and a false alarm to count. A third of each cause was set aside before anything was tuned: the
programs whose names come first when ordered by their SHA-256. Nobody tunes on those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).parent
HEALTHY = "healthy"


@dataclass(frozen=True)
class Program:
    """One program and what a diagnosis has to say of it.

    Attributes:
        name: file name without its ending.
        cause: the id of its cause, "healthy" where it has none.
        layers: patterns (as in fnmatch) of the layers, any of which is the right place; empty where the fault has no place.
        steps: first and last optimizer step that is right for the fault's beginning; None where it has none.
    """

    name: str
    cause: str
    layers: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None

    @property
    def part(self) -> str:
        """Whether it may be tuned on: "tuned" or "set_aside"."""
        return "set_aside" if self.name in _set_aside() else "tuned"

    @property
    def path(self) -> Path:
        return HERE / self.part / f"{self.name}.py"

    def is_place(self, layer: str) -> bool:
        """Whether a layer's dotted name is where the fault is."""
        return any(fnmatchcase(layer, pattern) for pattern in self.layers)

    def is_time(self, step: int, tolerance: int = 0) -> bool:
        """Whether a step is when the fault begins, give or take the steps that were not measured."""
        return self.steps is not None and self.steps[0] - tolerance <= step <= self.steps[1] + tolerance


def _programs() -> Iterator[Program]:
    """Programs by cause: name, then where and when."""
    causes: dict[str, dict[str, tuple[tuple[str, ...], tuple[int, int] | None]]] = {
        "learning-rate-too-high": {
            "mlp": ((), (0, 8)),
            "transformer": ((), (0, 12)),
            "gru": ((), (0, 8)),
            "vgg": ((), (1, 20)),  # the warm-up reaches its peak at step 30
        },
        "learning-rate-too-low": {
            "cnn": ((), None),
            "language_model": ((), None),
            "autoencoder": ((), None),
        },
        "exploding-activations": {
            "mlp": ((), (0, 2)),
            "residual": ((), (0, 2)),
            "decoder": ((), (0, 2)),
        },
        "mean-shift": {
            "mlp": ((), (0, 10)),
            "residual": ((), (0, 10)),
            "cnn": ((), (0, 10)),
        },
        "vanishing-gradients": {
            "mlp": (("0*", "1", "2", "3", "4", "5", "6", "1:*"), (0, 3)),
            "cnn": (("0*", "1", "2", "3", "4"), (0, 3)),
            "autoencoder": (("encoder.*",), (0, 3)),
        },
        "exploding-gradients": {
            "rnn": (("rnn*",), (0, 3)),
            "batch_norm": (("0*", "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "8.*", "9.*"), (0, 3)),
            "tanh": (("0*", "1*", "2", "3", "4", "5", "6", "7", "8", "9"), (0, 3)),
        },
        "dead-units": {
            "mlp": (("fc2", "fc3:input", "fc3", "head:input"), (0, 3)),
            "cnn": (("0.0", "0.1", "0.2", "0.3", "3"), (0, 3)),
            "autoencoder": (("bn2", "up1:input"), (0, 3)),
        },
        "unscaled-input": {
            "mlp": (("0*", "1:input", "1"), (0, 0)),
            "tabular": (("0*",), (0, 0)),
            "lstm": (("lstm*",), (0, 0)),
            "cnn": (("conv1*",), (0, 0)),
        },
        "numerical-fault": {
            "normalisation": (("contrast",), (37, 37)),
            "attention": (("pool*", "head:input"), (45, 45)),
            "distance": (("distance*", "body.2*"), (0, 15)),
            "cross_entropy": (("*riterion*", "*CrossEntropy*"), (20, 151)),
        },
        "saturated-units": {
            "mlp": (("2", "4", "6"), (0, 3)),
            "cnn": (("act1", "act2", "act3"), (0, 3)),
            "rnn": (("rnn",), (0, 3)),
        },
        "missing-zero-grad": {
            "mlp": ((), (1, 10)),
            "lstm": ((), (1, 10)),
            "cnn": ((), (1, 10)),
            "transformer": ((), (1, 10)),
        },
        "half-precision-overflow": {
            "mlp": (("4", "0", "2", "*riterion*", "*MSELoss*"), (0, 2)),
            "cnn": (("head:input", "head"), (0, 5)),
            "transformer": (("*",), (0, 3)),
        },
        "frozen-parameters": {
            "mlp": (("body.0", "body.2", "body.4"), None),
            "cnn": (("fc*",), None),
            "lstm": (("lstm",), None),
        },
        "symmetric-initialisation": {
            "mlp": (("1", "3", "5"), (0, 0)),
            "cnn": (("conv1", "conv2"), (0, 0)),
            "gru": (("gru", "hidden"), (0, 0)),
        },
        "double-softmax": {
            "mlp": (("5", "6"), (0, 0)),
            "cnn": (("fc2",), (0, 0)),
            "transformer": (("head",), (0, 0)),
        },
        "eval-mode-training": {
            "cnn": (("1", "4", "7", "10", "13", "16", "19", "22"), (0, 0)),
            "mlp": (("2", "4", "6", "8"), (0, 0)),
            "transformer": (("drop*", "encoder*"), (25, 26)),  # after the first epoch
        },
        "weight-decay-too-strong": {
            "mlp": ((), (0, 30)),
            "transformer": ((), (0, 30)),
            "autoencoder": ((), (0, 30)),
        },
        "loss-spike": {
            "mlp": (("0:input", "0"), (110, 111)),
            "cnn": ((), (90, 92)),
            "transformer": ((), (140, 142)),
        },
        "batch-norm-small-batch": {
            "cnn": (("1", "4", "7"), (0, 3)),
            "mlp": (("bn1", "bn2"), (0, 3)),
            "autoencoder": (("1", "4"), (0, 3)),
        },
        "batch-norm-train-eval-gap": {
            "cnn": (("1", "4", "7", "10"), None),
            "mlp": (("2", "5"), None),
            "residual": (("0.1", "*bn1", "*bn2"), None),
        },
        "batch-norm-reused": {
            "cnn": (("bn*",), (0, 0)),
            "mlp": (("norms.0*",), (0, 0)),
            "recurrent": (("bn*",), (0, 0)),
        },
        HEALTHY: {
            name: ((), None)
            for name in (
                "accumulation",
                "big_embedding",
                "cyclic_rate",
                "deep_transformer",
                "dropout",
                "fine_tuning",
                "gan",
                "label_noise",
                "large_activations",
                "lbfgs",
                "noisy_small_batch",
                "policy_gradient",
                "rnn",
                "siamese",
                "sparse_autoencoder",
                "variational_autoencoder",
                "warm_up",
                "zero_branches",
            )
        },
    }
    for cause, programs in causes.items():
        for name, (layers, steps) in programs.items():
            yield Program(f"{cause.replace('-', '_')}_{name}", cause, layers, steps)


def _set_aside() -> frozenset[str]:
    if not _SET_ASIDE:
        for cause in {program.cause for program in PROGRAMS}:
            names = sorted((one.name for one in PROGRAMS if one.cause == cause), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
            _SET_ASIDE.update(names[: max(1, round(len(names) / 3))])
    return frozenset(_SET_ASIDE)


_SET_ASIDE: set[str] = set()
PROGRAMS = tuple(_programs())
