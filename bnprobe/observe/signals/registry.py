"""Which tensors were measured in the forward that is going on, and how the axes of one follow from another's.

A signal is known by its memory: a view, a detached alias and the tensor itself are the same signal while the memory lives and is
unchanged. The axes of what nobody measured, a sum of two branches say, follow from the measured signals that it was computed from: autograd
knows which. Nothing is remembered by shape alone where a graph tells more, and nothing beyond the next backward.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from bnprobe.identity import OwnReference
from bnprobe.measure.layout import CHANNELS_LAST, TIME_FIRST, Layout
from bnprobe.measure.moments import Moments
from bnprobe.observe.modules.kinds import ObservedModule, layout_of
from bnprobe.torch_private import plain, sequence_number, version

#: Operations before a signal that are looked at for one that was measured.
NODE_LIMIT = 32
#: Operations before a signal that may lead to a measured one where compiled code goes back over them; as in known_calls.c.
MOST_BEFORE = 8
#: Kinds of module whose output has the axes of what they receive.
FOLLOWING_KINDS = ("activation", "dropout", "other")
#: Kinds that take a signal without a batch axis as well as one with it.
_EITHER_KINDS = ("pooling", "normalisation")


class Measured(NamedTuple):
    """A signal that was measured, and how it lay in memory."""

    tensor: weakref.ref[torch.Tensor]
    version: int
    shape: torch.Size
    strides: tuple[int, ...]
    layout: Layout
    moments: Moments
    module: ObservedModule
    source: Measured | None


class Source(NamedTuple):
    """What a signal is, or was computed from.

    Attributes:
        measured: the signal that was measured.
        layout: the axes as they lie in the signal that was asked about; None where that cannot be told.
        is_whole: whether the signal is the measured one itself, or a part of it, rather than computed from it.
    """

    measured: Measured
    layout: Layout | None
    is_whole: bool

    def is_unchanged(self, signal: torch.Tensor) -> bool:
        """Whether a signal holds what was measured."""
        return self.is_whole and self.measured.version == version(signal)


class SignalRegistry:
    """Signals of the forwards since the last backward."""

    def __init__(self) -> None:
        self._by_address: dict[int, Measured] = {}
        self._by_node: dict[int, Measured] = {}
        # Outputs of frozen layers have no graph behind them; None where those of one shape lie differently.
        self._by_shape: dict[torch.Size, Measured | None] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def clear(self) -> None:
        """Forget all."""
        self._by_address.clear()
        self._by_node.clear()
        self._by_shape.clear()

    def add(self, signal: torch.Tensor, layout: Layout, moments: Moments, module: ObservedModule, source: Source | None) -> None:
        """Take note of a signal that was measured, and of what it was computed from."""
        bare = plain(signal)
        origin = source.measured if source is not None else None
        measured = Measured(OwnReference(signal), version(signal), bare.shape, bare.stride(), layout, moments, module, origin)
        self._by_address[bare.data_ptr()] = measured
        node = signal.grad_fn
        if node is not None:
            self._by_node[sequence_number(node)] = measured
        elif source is not None:
            before = self._by_shape.setdefault(bare.shape, measured)
            if before is None or before.layout != layout:
                self._by_shape[bare.shape] = None

    def find(self, signal: torch.Tensor) -> Source | None:
        """Return the measured signal that a tensor is: itself, an alias of it, or what it is a slice of."""
        bare = plain(signal)
        known = self._by_address.get(bare.data_ptr())
        if known is not None and known.tensor() is not None and known.shape.numel() == bare.numel():
            return Source(known, _seen_as(known, bare.shape, bare.stride()), True)
        whole = signal._base
        known = self._by_address.get(plain(whole).data_ptr()) if whole is not None else None
        if known is None or known.tensor() is not whole:
            return None
        return Source(known, _part_of(known.layout, len(known.shape), bare.dim()), True)

    def at(self, signal: torch.Tensor) -> Measured | None:
        """Return the measured signal that lies where a plain tensor lies."""
        known = self._by_address.get(signal.data_ptr())
        return known if known is not None and known.tensor() is not None else None

    def origin(self, signal: torch.Tensor) -> Source | None:
        """Return the nearest measured signal that a tensor was computed from, along operations that leave its axes where they are."""
        if signal.grad_fn is None:
            known = self._by_shape.get(signal.shape)
            return Source(known, known.layout, False) if known is not None else None
        for node, is_swapped in _nodes_before(signal.grad_fn):
            known = self._by_node.get(sequence_number(node))
            if known is not None and (layout := _swapped(known.layout, is_swapped)) is not None:
                axis = layout.sample
                same = len(known.shape) == signal.dim() and known.shape[known.layout.sample] == signal.shape[axis]
                if same or layout.is_single:
                    return Source(known, layout, False)
        return None

    def way_to_origin(self, signal: torch.Tensor) -> tuple[Measured, tuple[type, ...]] | None:
        """Return what ``origin`` returns of a signal that has a graph, and the types of the operations that it looks at, the last included.

        None where it finds nothing, and where more than these types decides.
        """
        types: list[type] = []
        for node, _ in _nodes_before(signal.grad_fn):
            types.append(type(node))
            if (known := self._by_node.get(sequence_number(node))) is not None:
                found = self.origin(signal)
                return (known, tuple(types)) if found is not None and found.measured is known else None
            if len(types) == MOST_BEFORE or _swaps(node) is not False or type(node).__name__.startswith(_MOVING):
                break
        return None


def follow(module: nn.Module, entry: ObservedModule, shape: torch.Size, source: Source | None) -> Layout:
    """Return the axes of a module's output.

    Args:
        module: the module.
        entry: what is known of it.
        shape: of the output.
        source: what it received, if that is known.
    """
    dimensions = len(shape)
    own = layout_of(module, entry.kind, dimensions)
    if source is None or source.layout is None:
        return _as_learned(own, entry, dimensions)
    given, before = source.layout, len(source.measured.shape)
    if entry.kind in FOLLOWING_KINDS and not (given.is_single and dimensions > before):
        return given
    if dimensions != before:
        return own
    if entry.kind in _EITHER_KINDS and own.is_single and not given.is_single:
        return given
    if given.is_single and not own.is_single:
        return layout_of(module, entry.kind, dimensions + 1)._replace(sample=0, is_single=True)
    if given.sample == 1 and own == CHANNELS_LAST and dimensions == 3:
        return TIME_FIRST
    return own


def learn(received: Source, layout: Layout) -> None:
    """A layer that must know says that its input is (T, N, C): what made it gives that from now on."""
    if not (layout == TIME_FIRST and received.is_whole and received.layout == CHANNELS_LAST and received.measured.layout == CHANNELS_LAST):
        return
    known: Measured | None = received.measured
    for _ in range(NODE_LIMIT):
        if known is None or known.layout != CHANNELS_LAST or len(known.shape) != 3:
            return
        known.module.gives_time_first = True
        known = known.source


def _as_learned(own: Layout, entry: ObservedModule, dimensions: int) -> Layout:
    return TIME_FIRST if entry.gives_time_first and own == CHANNELS_LAST and dimensions == 3 else own


def _seen_as(known: Measured, shape: torch.Size, strides: tuple[int, ...]) -> Layout | None:
    """Return a measured signal's axes as another view of its memory has them."""
    layout = known.layout
    if shape == known.shape and strides == known.strides:
        return layout
    dimensions = len(shape)
    if dimensions != len(known.shape):
        return _part_of(layout, len(known.shape), dimensions)
    places: list[int] = []  # of each old axis among the new ones
    for axis in zip(known.shape, known.strides, strict=True):
        place = next((i for i, other in enumerate(zip(shape, strides, strict=True)) if other == axis and i not in places), None)
        if place is None:
            return layout if shape[0] == known.shape[0] else None
        places.append(place)
    if layout.is_single:
        return layout if places == sorted(places) else None
    channel = places[layout.channel % dimensions]
    return Layout(channel - dimensions if layout.channel < 0 and channel == dimensions - 1 else channel, places[layout.sample])


def _part_of(layout: Layout, whole: int, part: int) -> Layout | None:
    """Return the axes of a slice with fewer dimensions, as far as they can be told."""
    if part == whole or (part < whole and layout.sample == 0):
        return layout
    return None


def _swapped(layout: Layout, is_swapped: bool) -> Layout | None:
    """Return a layout after its first two axes have changed places."""
    if not is_swapped:
        return layout
    if layout.is_single or layout.channel in (0, 1):
        return None
    return layout._replace(sample=1 - layout.sample)


def _number(node: Any) -> int:
    return int(node._sequence_nr())


def _nodes_before(node: Any) -> Iterator[tuple[Any, bool]]:
    """Yield operations from one backwards, the nearest first, and whether the first two axes have changed places between."""
    pending, seen = [(node, False)], {node}
    for _ in range(NODE_LIMIT):
        if not pending:
            return
        node, is_swapped = pending.pop(0)
        yield node, is_swapped
        swaps = _swaps(node)
        if swaps is None:
            continue
        for other, _ in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                pending.append((other, is_swapped != swaps))


#: Operations of which it depends on their arguments which axes they move.
_MOVING = ("Transpose", "Permute")


def _swaps(node: Any) -> bool | None:
    """Whether an operation exchanges the first two axes; None where it moves another."""
    name = type(node).__name__
    if name.startswith("Transpose"):
        dims = {_signed(node._saved_dim0), _signed(node._saved_dim1)}
        if len(dims) == 1:
            return False
        return True if dims <= {0, 1, -3, -2} else None
    if name.startswith("Permute"):
        moved = tuple(_signed(dim) % len(node._saved_dims) for dim in node._saved_dims)
        order = tuple(range(len(moved)))
        if moved == order:
            return False
        return True if moved == (1, 0, *order[2:]) else None
    return None if name.startswith("TBackward") else False


def _signed(dim: int) -> int:
    return dim - 2**64 if dim >= 2**63 else dim
