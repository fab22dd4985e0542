"""Normalisation put behind the layers of a network that has none: what batch, layer, group and RMS norm share.

Behind convolutions, linear and recurrent layers and torch's attention, but for those whose output is an answer (``answers``), and, where
a sample is normalised by itself, those of one output. What each paper covers and what is ours stands in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from bnprobe.module_parts import parameters
from bnprobe.remedies.answers import answers
from bnprobe.remedies.linear_layers import is_linear, units_of
from bnprobe.remedies.norms import ADDED_BATCH_NORM, refuse_further
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.sample_norm import SampleNorm
from bnprobe.remedies.scope import CONVOLUTIONS, TRANSPOSED, Scope
from bnprobe.remedies.settings import AddedNormSettings
from bnprobe.torch_private import ConvNd

ATTRIBUTE = "added_norm"
ANSWER = "left as it is, for its output is the answer"
NARROW = "left as it is, for it has one output, which would become a constant"
N = TypeVar("N", bound=AddedNormSettings)


class AddedNorm(Remedy[N]):
    """A remedy that puts a normalisation behind layers."""

    changes = Changes.STRUCTURE
    #: What it is called where it is added.
    attribute: ClassVar[str] = ATTRIBUTE
    #: Whether one channel has something that it can be normalised over.
    fits_one_channel: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def groups_of(self, channels: int) -> int:
        """Return into how many groups channels fall."""
        del channels
        return 1

    def norm_for(self, channels: int, positions: int, weight: nn.Parameter) -> nn.Module:
        """Return what normalises a layer's output.

        Args:
            channels: how many there are.
            positions: how many axes of positions come after them.
            weight: the layer's, of the device and type that the norm's parameters have.

        Returns:
            The module.
        """
        return SampleNorm(channels, positions, self.groups_of(channels), self.centred, weight if self.settings.affine else None)

    def look(self, scope: Scope) -> dict[str, nn.Module]:
        """Return the layers of a network without normalisation; the last of each model is taken for its answer, for no code is run."""
        return self._places(scope, [last for model in scope.models if (last := scope.last_layer(model)) is not None])

    def _places(self, scope: Scope, spared: list[nn.Module]) -> dict[str, nn.Module]:
        refuse_further(self, scope, self.attribute)
        wide = {name: one for name, one in _layers(scope, self.settings.after) if not self._is_narrow(one)}
        places = self.untreated({name: one for name, one in wide.items() if not any(one is other for other in spared)}, self.attribute)
        if not places:
            kinds = "linear, convolutional, recurrent or attention" if self.settings.after == "all" else self.settings.after
            raise self.nothing(f"no {kinds} layer is trained before the last", "msr and weight-norm act on the weights instead")
        return places

    def prepare(self, scope: Scope) -> Touched:
        """Put a normalisation behind each layer."""
        spared = answers(scope)
        places = self._places(scope, spared)
        candidates = _layers(scope, self.settings.after)
        heads = tuple(name for name, one in candidates if any(one is other for other in spared))
        narrow = tuple(name for name, one in candidates if self._is_narrow(one) and name not in heads)
        added = tuple(one for name, layer in places.items() for one in self._add_norm(scope, name, layer))
        transposed = tuple(name for name in scope.transposed() if name not in heads)
        return Touched("layers", tuple(places), added, {TRANSPOSED: transposed, ANSWER: heads, NARROW: narrow})

    def _add_norm(self, scope: Scope, name: str, layer: nn.Module) -> list[Added]:
        weight = next(p for p in parameters(layer) if isinstance(p, nn.Parameter) and id(p) in scope.trained)
        norm = self.norm_for(*_shape_of(layer), weight)
        several = isinstance(layer, nn.RNNBase | nn.MultiheadAttention)
        self.add_behind(layer, self.attribute, norm, (_FIRST if several else _ALONE)[self.attribute])
        return [Added(f"{name}.{self.attribute}.{key}", parameter, beside=weight) for key, parameter in norm.named_parameters()]

    def _is_narrow(self, layer: nn.Module) -> bool:
        """Whether one number is all there would be to normalise over; a channel's positions may be one, too."""
        return not self.fits_one_channel and _shape_of(layer)[0] < 2


def _layers(scope: Scope, after: str) -> list[tuple[str, nn.Module]]:
    inside = {
        id(child) for _, one in scope.modules() if isinstance(one, nn.MultiheadAttention) for child in one.modules() if child is not one
    }
    kinds: dict[str, Callable[[nn.Module], bool]] = {
        "convolutions": lambda one: isinstance(one, CONVOLUTIONS),
        "linear": is_linear,
        "recurrent": lambda one: isinstance(one, nn.RNNBase),
        "attention": lambda one: isinstance(one, nn.MultiheadAttention),
    }
    wanted = [kinds[after]] if after != "all" else list(kinds.values())
    layers = [(name, one) for name, one in scope.modules() if id(one) not in inside and any(is_one(one) for is_one in wanted)]
    return [(name, one) for name, one in layers if scope.is_trained(one)]


def _shape_of(layer: Any) -> tuple[int, int]:
    """Return a layer's channels and how many axes of positions come after them."""
    if isinstance(layer, ConvNd):
        return layer.out_channels, len(layer.kernel_size)
    if isinstance(layer, nn.RNNBase):
        return (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1), 0
    return int(layer.embed_dim) if isinstance(layer, nn.MultiheadAttention) else units_of(layer), 0


def _normalise(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a layer's output through its normalisation. torch.jit.script compiles it: hence names and types."""
    return self.added_norm(output)  # type: ignore[no-any-return]


def _batch_normalise(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a layer's output through its batch norm. torch.jit.script compiles it: hence names and types."""
    return self.added_batch_norm(output)  # type: ignore[no-any-return]


def _normalise_first(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: pass the first of several results through a normalisation."""
    return _with_first_normalised(module._modules[ATTRIBUTE], output)


def _batch_normalise_first(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: pass the first of several results through a batch norm."""
    return _with_first_normalised(module._modules[ADDED_BATCH_NORM], output)


def _with_first_normalised(norm: nn.Module | None, output: Any) -> Any:
    """Of several results the first is the layer's output; the others are states and weights. A packed one stays packed."""
    assert norm is not None
    first = output[0]
    if isinstance(first, nn.utils.rnn.PackedSequence):
        return (first._replace(data=norm(first.data)), *output[1:])
    return (norm(first), *output[1:])


#: The hooks by the name of what they call: torch.jit.script has to find that name in their code.
_ALONE = {ATTRIBUTE: _normalise, ADDED_BATCH_NORM: _batch_normalise}
_FIRST = {ATTRIBUTE: _normalise_first, ADDED_BATCH_NORM: _batch_normalise_first}
