"""Kinds of modules: which are layers, what they do, how their output lies."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from bnprobe.identity import KeyReference
from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST, Layout
from bnprobe.module_parts import modules
from bnprobe.torch_private import BatchNormBase, ConvNd, DropoutNd, LossBase, NormBase, PoolNd

_WRAPPER_PREFIXES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


_CLASS_PREFIXES = ("Parametrized", "FSDP")


_KINDS: list[tuple[str, tuple[type[nn.Module], ...]]] = [
    ("convolution", (ConvNd,)),
    ("linear", (nn.Linear, nn.Bilinear, nn.LazyLinear)),
    (
        "normalisation",
        (
            NormBase,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.LocalResponseNorm,
            nn.CrossMapLRN2d,
            *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
        ),
    ),
    ("recurrent", (nn.RNNBase, nn.RNNCellBase)),
    ("attention", (nn.MultiheadAttention,)),
    ("embedding", (nn.Embedding, nn.EmbeddingBag)),
    ("dropout", (DropoutNd,)),
    ("pooling", PoolNd),
]


_CHANNELS_LAST_KINDS = ("linear", "attention", "embedding")


#: Calls of one module without gradient that are remembered until the step ends.
_HIDDEN_CALLS = 64


@dataclass
class ObservedModule:
    """What is known of one module that was called.

    Attributes:
        reference: the module, unless it is gone.
        is_layer: whether its output is measured: it owns parameters, or it is a leaf.
        kind: see the schema's ``layer_kind``.
        has_parameters: whether it owns parameters itself.
        forwards: complete forwards with gradient; counts for the root of a model.
        thread: number of the thread that last ran it with gradient; counts for the root of a model.
        is_trained: whether layers of it ran with gradient; counts for the root of a model.
        was_called: whether it ran with gradient itself, even if nothing of it could be measured.
        ran_otherwise: whether it ran without gradient, or in forward mode.
        depends_on_mode: whether it does something else in training than in evaluation: dropout, batch norm.
        has_running_statistics: whether it is a batch norm whose statistics are those of the batches this process sees.
        gives_time_first: whether a layer that must know has shown that its output is (T, N, C), which itself does not tell.
        hidden_forwards: places, in the order of calls, of its calls in training mode without gradient since the last step: what
            reentrant checkpointing does before it calls again inside backward. The last ones: an evaluation may make any number.
    """

    reference: weakref.ref[nn.Module]
    is_layer: bool
    kind: str
    has_parameters: bool
    forwards: int = 0
    thread: int = 0
    is_trained: bool = False
    was_called: bool = False
    ran_otherwise: bool = False
    depends_on_mode: bool = False
    has_running_statistics: bool = False
    gives_time_first: bool = False
    hidden_forwards: deque[int] = field(default_factory=lambda: deque(maxlen=_HIDDEN_CALLS))
    _calls: int = 0
    _calls_of: int = -1
    _root: tuple[int, ObservedModule] | None = field(default=None, repr=False)
    _is_model: bool = False

    def count_call(self, forward: int) -> int:
        """Count a call in a forward of its model; return how many came before it there."""
        if self._calls_of != forward:
            self._calls, self._calls_of = 0, forward
        self._calls += 1
        return self._calls - 1


def examine(module: nn.Module) -> ObservedModule:
    """Look at a module for the first time."""
    reference = KeyReference(module)
    if isinstance(module, torch.jit.ScriptModule):  # its inside runs without calling Python
        return ObservedModule(reference, True, "other", True)
    # A remedy's own module (``added_dropout``) does not make a leaf a container.
    children = [name for name, _ in module._modules.items() if name != "parametrizations" and not name.startswith("added_")]
    has_parameters = bool(module._parameters) or "parametrizations" in module._modules
    kind = next((kind for kind, classes in _KINDS if isinstance(module, classes)), "")
    is_layer = bool(kind) or not children or any(parameter is not None for parameter in module._parameters.values())
    if isinstance(module, ParametrizationList | LossBase):
        is_layer = False
    if not kind:
        is_activation = type(module).__module__.startswith("torch.nn.modules.activation")
        kind = "activation" if is_activation else "other"
    entry = ObservedModule(reference, is_layer, kind, has_parameters)
    entry.has_running_statistics = _has_running_statistics(module)
    entry.depends_on_mode = entry.has_running_statistics or _drops(module)
    return entry


def _has_running_statistics(module: nn.Module) -> bool:
    """Whether evaluation normalises by means and variances of a channel that training gathers; not those of several ranks together."""
    is_batch_norm = isinstance(module, BatchNormBase) and not isinstance(module, nn.SyncBatchNorm)
    return is_batch_norm and isinstance(module._buffers.get("running_mean"), torch.Tensor)


def _drops(module: nn.Module) -> bool:
    """Whether training drops values at random: a dropout of torch's own or of a library, or one inside a recurrent or attention layer."""
    if not (isinstance(module, DropoutNd | nn.RNNBase | nn.MultiheadAttention) or "Drop" in type(module).__name__):
        return False
    # What a module holds, and no more: to ask it for a name that it lacks may run code of the script.
    shares = [vars(module).get(name, 0.0) for name in ("p", "drop_prob", "dropout")]
    return any(isinstance(share, float | int) and share > 0 for share in shares)


def own_parameters(module: nn.Module) -> list[torch.Tensor]:
    """Return the parameters with which a module itself computes: also those that attention or a parametrised weight keeps in children."""
    if isinstance(module, nn.MultiheadAttention | torch.jit.ScriptModule):
        holders = list(modules(module))
    else:
        made_of = module._modules.get("parametrizations")
        holders = [module, *(modules(made_of) if made_of is not None else ())]
    found = {id(parameter): parameter for holder in holders for parameter in holder._parameters.values() if parameter is not None}
    return [parameter for parameter in found.values() if not is_lazy(parameter)]


def without_wrappers(name: str) -> str:
    """Return a dotted name without what DDP, FSDP, torch.compile and checkpoint wrappers put into it."""
    for prefix in _WRAPPER_PREFIXES:
        name = name.replace(f".{prefix}", ".").removeprefix(prefix)
    return name


def class_name(module: nn.Module) -> str:
    """Return the class a user knows the module by: parametrised and sharded layers are renamed subclasses."""
    name = type(module).__name__
    for prefix in _CLASS_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def layout_of(module: nn.Module, kind: str, dimensions: int) -> Layout:
    """Return the axes of a module's output when nothing is known about where its input came from.

    Args:
        module: the module.
        kind: its kind.
        dimensions: number of axes of the output.
    """
    if _takes_single(module, kind, dimensions):
        return layout_of(module, kind, dimensions + 1)._replace(sample=0, is_single=True)
    if kind == "recurrent" and dimensions == 3 and not vars(module).get("batch_first", False):
        return TIME_FIRST
    if kind == "attention" and dimensions == 3 and not vars(module).get("batch_first", False):
        return TIME_FIRST
    if kind in (*_CHANNELS_LAST_KINDS, "recurrent") or _normalises_last_axis(module):
        return CHANNELS_LAST
    if kind in ("convolution", "pooling") or isinstance(module, NormBase | nn.GroupNorm):
        return CHANNELS_FIRST
    return CHANNELS_LAST if dimensions == 3 else CHANNELS_FIRST


def _takes_single(module: nn.Module, kind: str, dimensions: int) -> bool:
    """Whether a signal with so many axes is one sample without a batch axis, for a layer that knows how many a sample has."""
    # Not by the weight's axes: to look at a parametrised weight is to compute it, and spectral norm changes by being computed.
    if isinstance(module, ConvNd):
        return dimensions == len(module.kernel_size) + 1
    if kind == "pooling" and (axes := type(module).__name__[-2:])[1:] == "d" and axes[0].isdigit():
        return dimensions == int(axes[0]) + 1
    if _normalises_last_axis(module):
        return dimensions == len(vars(module).get("normalized_shape", ()))
    if isinstance(module, nn.RNNBase) or kind == "attention":
        return dimensions == 2
    return dimensions == 1 and kind in ("linear", "recurrent")


def _normalises_last_axis(module: nn.Module) -> bool:
    return isinstance(module, nn.LayerNorm) or type(module).__name__.endswith("RMSNorm")
