"""Normalisation within a sample, put behind the layers of a network that has none: what layer, group and RMS norm share.

Behind convolutions, linear and recurrent layers and torch's attention, but for those whose output is an answer (``answers``), and those
of one output. What each paper covers and what is ours stands in its own file.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from bnprobe.module_parts import parameters
from bnprobe.remedies.answers import answers
from bnprobe.remedies.norms import refuse_further
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
    """A remedy that puts a normalisation of each sample behind layers."""

    changes = Changes.STRUCTURE
    centred: ClassVar[bool] = True

    def groups_of(self, channels: int) -> int:
        """Return into how many groups channels fall."""
        del channels
        return 1

    def look(self, scope: Scope) -> dict[str, nn.Module]:
        """Return the layers of a network without normalisation; the last of each model is taken for its answer, for no code is run."""
        return self._places(scope, [last for model in scope.models if (last := scope.last_layer(model)) is not None])

    def _places(self, scope: Scope, spared: list[nn.Module]) -> dict[str, nn.Module]:
        refuse_further(self, scope, ATTRIBUTE)
        wide = {name: one for name, one in _layers(scope, self.settings.after) if not _is_narrow(one)}
        places = self.untreated({name: one for name, one in wide.items() if not any(one is other for other in spared)}, ATTRIBUTE)
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
        narrow = tuple(name for name, one in candidates if _is_narrow(one) and name not in heads)
        added = tuple(one for name, layer in places.items() for one in self._add_norm(scope, name, layer))
        transposed = tuple(name for name in scope.transposed() if name not in heads)
        return Touched("layers", tuple(places), added, {TRANSPOSED: transposed, ANSWER: heads, NARROW: narrow})

    def _add_norm(self, scope: Scope, name: str, layer: nn.Module) -> list[Added]:
        weight = next(p for p in parameters(layer) if isinstance(p, nn.Parameter) and id(p) in scope.trained)
        channels, positions = _shape_of(layer)
        groups = self.groups_of(channels)
        norm = SampleNorm(channels, positions, groups, self.centred, weight if self.settings.affine else None)
        self.add_module(layer, ATTRIBUTE, norm)
        self.hook(layer.register_forward_hook(_normalise_first if _returns_several(layer) else _normalise))
        return [Added(f"{name}.{ATTRIBUTE}.{key}", parameter, beside=weight) for key, parameter in norm.named_parameters()]


def _layers(scope: Scope, after: str) -> list[tuple[str, nn.Module]]:
    inside = {
        id(child) for _, one in scope.modules() if isinstance(one, nn.MultiheadAttention) for child in one.modules() if child is not one
    }
    kinds: dict[str, tuple[type[nn.Module], ...]] = {
        "convolutions": CONVOLUTIONS,
        "linear": (nn.Linear,),
        "recurrent": (nn.RNNBase,),
        "attention": (nn.MultiheadAttention,),
    }
    wanted = kinds[after] if after != "all" else tuple(one for some in kinds.values() for one in some)
    return [(name, one) for name, one in scope.modules() if isinstance(one, wanted) and id(one) not in inside and scope.is_trained(one)]


def _shape_of(layer: Any) -> tuple[int, int]:
    """Return a layer's channels and how many axes of positions come after them."""
    if isinstance(layer, ConvNd):
        return layer.out_channels, len(layer.kernel_size)
    if isinstance(layer, nn.RNNBase):
        return (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1), 0
    return int(layer.embed_dim if isinstance(layer, nn.MultiheadAttention) else layer.out_features), 0


def _is_narrow(layer: nn.Module) -> bool:
    """Whether one number is all there would be to normalise over; a channel's positions may be one, too."""
    return _shape_of(layer)[0] < 2


def _returns_several(layer: nn.Module) -> bool:
    return isinstance(layer, nn.RNNBase | nn.MultiheadAttention)


def _normalise(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a layer's output through its normalisation. torch.jit.script compiles it: hence names and types."""
    return self.added_norm(output)  # type: ignore[no-any-return]


def _normalise_first(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: of several results the first is the layer's output; the others are states and weights. A packed one stays packed."""
    norm = module._modules[ATTRIBUTE]
    assert norm is not None
    first = output[0]
    if isinstance(first, nn.utils.rnn.PackedSequence):
        return (first._replace(data=norm(first.data)), *output[1:])
    return (norm(first), *output[1:])
