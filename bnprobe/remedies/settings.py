"""What can be set on each remedy, and its defaults.

Kept apart from the remedies themselves because it must be readable without torch: a mistyped setting is refused before the user's
script has imported anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: sqrt(2 / (1 - 1/pi)) keeps the variance through a ReLU whose mean is rejected.
RELU_GAIN = 1.7139588594436646
GAINS = {"unit": 1.0, "he": 2.0**0.5, "relu": RELU_GAIN}


@dataclass(frozen=True)
class Settings:
    """Settings of one remedy; every field has a default, and its metadata say what it accepts."""


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    names: dict[str, float] | None = None,
    alone: Any = None,
) -> Any:
    """Describe one setting.

    Args:
        default: its value when nothing is said; its type is the type of the setting.
        text: one line for the list of remedies.
        low: smallest value accepted.
        high: largest value accepted.
        choices: the words accepted, for a text.
        names: words accepted in place of numbers.
        alone: the value when the setting is named without one (``noise`` for ``noise=0.1``); a yes-or-no setting then means yes.

    Returns:
        A dataclass field with the default, and the rest as its metadata.
    """
    metadata = {"text": text, "low": low, "high": high, "choices": choices, "names": names or {}, "alone": alone}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class MeanShiftRejectionSettings(Settings):
    """Settings of ``msr``."""

    w: float = setting(1.0, "share of the slice means taken out of gradient and update", low=0.0, high=1.0)
    gain: float = setting(1.0, "magnitude ||W[o]|| of every filter at the start", low=0.0, names=GAINS)
    scale: str = setting("fixed", "learnable factor of each filter", choices=("fixed", "linear", "exp"), alone="linear")
    branch: float = setting(1.0, "further factor on convolutions in residual branches at the start", low=0.0, alone=0.8)
    first: bool = setting(False, "project the first convolution, too")
    pointwise: bool = setting(False, "project 1x1 kernels, over their input channels")
    linear: bool = setting(False, "linear layers, too, over their inputs: all but the first, as with convolutions, and the last")
    noise: float = setting(0.0, "what the remedy noise does, with this d", low=0.0, high=1.0, alone=0.1)
    keep_weights: bool = setting(False, "start from the weights as they are; their slice means stay what they are")


@dataclass(frozen=True)
class PublishedMeanShiftRejectionSettings(Settings):
    """Settings of ``msr-published``; the defaults are its authors'."""

    m: float = setting(10.0, "gradients of kernels become (1 + m) g - m mean g", low=0.0)
    penalty: float = setting(5e-4, "factor on the sum of (||W[o]|| - 1)^2, in place of weight decay", low=0.0)
    slow: float = setting(0.25, "share of the rate at which biases and classifier train", low=0.0, high=1.0)
    noise: float = setting(0.1, "what the remedy noise does at residual blocks, with this d", low=0.0, high=1.0)


@dataclass(frozen=True)
class NoiseSettings(Settings):
    """Settings of ``noise``."""

    d: float = setting(0.1, "half-width of the factor U(1-d, 1+d)", low=0.0, high=1.0)
    per: str = setting("sample", "a factor for each sample and channel, or each channel", choices=("sample", "channel"))
    at: str = setting("blocks", "inputs of residual blocks, or of convolutions (not the first)", choices=("blocks", "convolutions"))


@dataclass(frozen=True)
class AddedNormSettings(Settings):
    """Settings of ``layer-norm`` and ``rms-norm``, and a part of others'."""

    after: str = setting("all", "which layers", choices=("all", "convolutions", "linear", "recurrent", "attention"))
    affine: bool = setting(False, "learn a scale for each channel, and a shift where the mean is taken out")


@dataclass(frozen=True)
class BatchNormSettings(AddedNormSettings):
    """Settings of ``batch-norm``."""

    momentum: float = setting(0.1, "weight of the newest batch in the running statistics", low=0.0, high=1.0)


@dataclass(frozen=True)
class GroupNormSettings(AddedNormSettings):
    """Settings of ``group-norm``."""

    groups: int = setting(32, "most groups; none has fewer than eight channels", low=1)


@dataclass(frozen=True)
class WarmUpSettings(Settings):
    """Settings of ``warm-up``."""

    steps: int = setting(100, "steps until the script's own rate is reached", low=1)


@dataclass(frozen=True)
class NoNormSettings(Settings):
    """Settings of ``no-norm``."""

    only: str = setting("all", "which normalisation is switched off", choices=("all", "batch", "layer", "group"))


@dataclass(frozen=True)
class WeightNormSettings(Settings):
    """Settings of ``weight-norm``."""

    linear: bool = setting(True, "linear layers, too, not only convolutions")


@dataclass(frozen=True)
class ClipNormSettings(Settings):
    """Settings of ``clip-norm``."""

    max: float = setting(1.0, "largest norm of the whole gradient", low=0.0)


@dataclass(frozen=True)
class ClipValueSettings(Settings):
    """Settings of ``clip-value``."""

    max: float = setting(0.1, "largest magnitude of a gradient's element", low=0.0)


@dataclass(frozen=True)
class AdaptiveClippingSettings(Settings):
    """Settings of ``agc``."""

    clipping: float = setting(0.01, "largest ratio ||G_i|| / ||W_i|| of a unit", low=0.0)
    eps: float = setting(1e-3, "smallest ||W_i|| taken into the ratio", low=0.0)
    last: bool = setting(False, "clip linear layers that give the answer, too")


@dataclass(frozen=True)
class DropoutSettings(Settings):
    """Settings of ``dropout``."""

    p: float = setting(0.1, "probability with which an activation is dropped", low=0.0, high=1.0)
    after: str = setting("activations", "which outputs", choices=("activations", "convolutions", "blocks"))
    channels: bool = setting(False, "drop whole channels")


@dataclass(frozen=True)
class GradientCentralisationSettings(Settings):
    """Settings of ``gradient-centralisation``."""

    linear: bool = setting(True, "linear layers, too, not only convolutions")


@dataclass(frozen=True)
class WeightStandardisationSettings(Settings):
    """Settings of ``weight-standardisation``."""

    gain: float = setting(1.0, "factor on the standardised weight; the ReLU's is 1.713", low=0.0, names={"relu": RELU_GAIN})
    first: bool = setting(True, "the first convolution, too")


@dataclass(frozen=True)
class SpectralNormSettings(Settings):
    """Settings of ``spectral-norm``."""

    iterations: int = setting(1, "power iterations in each training forward", low=1)
    mean: bool = setting(False, "mean spectral norm: a learnable r beside it, and mean-only batch norm behind")


@dataclass(frozen=True)
class QueryKeyNormSettings(Settings):
    """Settings of ``qk-norm``."""

    gain: float = setting(1.0, "factor on the logits, which lie within gain sqrt(d)", low=0.0)


@dataclass(frozen=True)
class OutputMultiplierSettings(Settings):
    """Settings of ``mup-output``."""

    base: int = setting(64, "the width at which nothing changes", low=1)


@dataclass(frozen=True)
class FixupSettings(Settings):
    """Settings of ``fixup``."""

    keep_weights: bool = setting(False, "start from the weights as they are: scalar shifts and factors alone")


@dataclass(frozen=True)
class DeepNormSettings(Settings):
    """Settings of ``deep-norm``."""

    keep_weights: bool = setting(False, "start from the weights as they are: the factor on the shortcut alone")


@dataclass(frozen=True)
class SkipInitSettings(Settings):
    """Settings of ``skip-init``."""

    start: float = setting(0.0, "the branch factor at the start")
