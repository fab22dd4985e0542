"""Calls of modules that are as they were before, taken in by compiled code.

What the forward hook decides of a call, it decides anew at every step, and comes to the same. Here it is remembered: of a call's module,
its mode, and how its input and output lie, whatever the decision rests on. ``known_calls.c`` checks that, reads the signals and makes the
records; the hook sees only calls that differ, and the decisions themselves stand there alone. A gradient is caught by an object of that
file as well, so that a backward runs no Python of ours.

It is built when bnprobe is installed, for that version of Python. Without it, or with BNPROBE_KNOWN_CALLS=0, every call is decided anew.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.hooks import RemovableHandle

from bnprobe.identity import OwnReference
from bnprobe.measure import fused
from bnprobe.measure.layout import Layout
from bnprobe.measure.moments import Moments
from bnprobe.measure.pages import Blocks
from bnprobe.observe.faults import is_the_scripts
from bnprobe.observe.modules.kinds import ObservedModule
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.signals.batch_statistics import batch_statistics
from bnprobe.observe.signals.ledger import Ledger
from bnprobe.observe.signals.records import INPUT, OUTPUT, Pass, Tap, TapKey
from bnprobe.observe.signals.registry import Measured, SignalRegistry
from bnprobe.observe.training_thread import TrainingThread
from bnprobe.torch_private import function_mode_depth, graph_task_id, holds_numbers, tracing_state, transform_level, version

#: Of known_calls.c, which an earlier installation may have compiled.
INTERFACE = 2
#: Modules that are remembered: more than the deepest networks have. A program that makes new ones at every step begins anew.
MOST_MODULES = 16384
#: A module whose calls differ all the time is learnt at its first few, and then at every so many.
LESSON_EVERY = 16

SKIPPED, MEASURED_ALREADY, MEASURED = range(3)
IGNORED, KNOWN, NEW, NOTHING = range(4)


class TakesGradients(Protocol):
    """What the compiled code asks of the taps whose calls it takes in.

    Attributes:
        muted: what runs now is no part of the training.
        gradients_muted: above 0 while gradients are somebody else's.
        on_signal: told of every signal, by Python; None where nobody is.
    """

    muted: bool
    gradients_muted: int
    on_signal: Callable[[Tap, torch.Tensor, Layout], None] | None
    #: Place of the last call among all.
    _order: int

    def take_gradient(self, gradient: torch.Tensor, key: TapKey, forward: Pass, order: int, layout: Layout) -> None:
        """Measure the gradient of a signal that compiled code leaves to Python."""


class _Lesson(NamedTuple):
    """What a call's decision rests on, looked at before the call is measured.

    Attributes:
        receives: what its input is: token ids, a signal that was measured, one that is to be measured, or one that is not.
        known: the measured signal that the input is, or was computed from.
        path: types of the operations from the input back to that; None where it is that signal, or there is none.
        is_unchanged: whether that has not been written since.
        is_known: whether the output lies where a measured signal lies.
        is_measured_already: whether it is that signal.
        records: what was measured before.
    """

    receives: int
    known: Measured | None
    path: tuple[type, ...] | None
    is_unchanged: bool
    is_known: bool
    is_measured_already: bool
    records: int


class KnownCalls:
    """Remembers calls.

    Args:
        taps: whose calls they are.
        tree: the modules.
        ledger: where records go.
        registry: which signals were measured.
        compiled: the module of known_calls.c.
    """

    def __init__(self, taps: TakesGradients, tree: ModuleTree, ledger: Ledger, registry: SignalRegistry, compiled: Any) -> None:
        self._tree = tree
        self._ledger = ledger
        self._registry = registry
        self._misses: dict[int, int] = {}
        calls = compiled.Calls(
            taps=taps,
            ledger=ledger,
            by_address=registry._by_address,
            by_node=registry._by_node,
            by_shape=registry._by_shape,
            tree=tree,
            statistics=batch_statistics,
            slow_gradient=taps.take_gradient,
            is_the_scripts=is_the_scripts,
            note_mode=ledger.note_mode_of,
            new_block=_new_block,
            ordered=OrderedDict,
            handle=RemovableHandle,
            tensor=torch.Tensor,
            single=torch.float32,
            reference=OwnReference,
            measured_type=Measured,
            moments_type=Moments,
            tap_type=Tap,
            mode_depth=function_mode_depth,
            level=transform_level,
            tracing=tracing_state,
            grad_enabled=torch.is_grad_enabled,
            graph_task=graph_task_id,
            forward_mode=forward_ad,
            reader=fused.reader_address(),
        )
        self._calls = calls
        #: take(module, arguments, output): whether the call was known, and has been taken in.
        self.take: Callable[[nn.Module, tuple[Any, ...], Any], bool] = calls.take
        #: Nothing is known of what comes until ``begin``.
        self.end: Callable[[], None] = calls.end

    @property
    def taken(self) -> int:
        """Calls that were taken in."""
        return int(self._calls.taken)

    def take_seconds(self) -> float:
        """Return the time that calls have taken since last asked."""
        seconds, self._calls.seconds = float(self._calls.seconds), 0.0
        return seconds

    def begin(self, forward: Pass, thread: TrainingThread) -> None:
        """A forward is measured from here on, whose model runs in the mode it says."""
        self._calls.begin(forward, forward.number, forward.in_training, thread, thread._others, fused.team_address())

    def forget(self) -> None:
        """Know no call."""
        self._calls.forget()
        self._calls.end()
        self._misses.clear()

    def wants(self, module: nn.Module) -> bool:
        """Whether a call that was not known is to be learnt."""
        if len(self._misses) > MOST_MODULES:
            self.forget()
        misses = self._misses[id(module)] = self._misses.get(id(module), 0) + 1
        return not misses & (misses - 1) or misses % LESSON_EVERY == 0

    def look(self, entry: ObservedModule, args: tuple[Any, ...], output: Any) -> _Lesson | None:
        """Look at a layer's call before it is measured; None where too much would have to be remembered."""
        signal = args[0] if args else None
        if type(signal) is not torch.Tensor or type(output) is not torch.Tensor or entry.kind in ("recurrent", "attention"):
            return None
        if not output.is_floating_point() or not output.dim() or not output.numel() or not holds_numbers(output):
            return None
        receives, known, path, is_unchanged = IGNORED, None, None, False
        if signal.is_floating_point():
            if not signal.dim() or not signal.numel() or not holds_numbers(signal):
                return None
            known = self._registry.at(signal)
            if known is not None:
                receives, is_unchanged = KNOWN, known.version == version(signal)
                if known.shape.numel() != signal.numel() or (entry.has_parameters and not is_unchanged):
                    return None
            else:
                way = self._registry.way_to_origin(signal) if signal.grad_fn is not None else None
                known, path = way if way is not None else (None, None)
                if not self._is_no_part(signal) or (way is None and (signal.grad_fn is not None or self._registry._by_shape)):
                    return None
                receives = NEW if entry.has_parameters else NOTHING
        if receives == NEW and entry.has_running_statistics:
            return None
        before = self._registry.at(output)
        if before is not None and (before is not known or path is not None or before.shape.numel() != output.numel()):
            return None
        if before is None and not self._is_no_part(output):
            return None
        already = before is not None and before.version == version(output)
        return _Lesson(receives, known, path, is_unchanged, before is not None, already, len(self._ledger._open))

    def _is_no_part(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is no part of a signal that was measured: no view, or one of something else."""
        whole = tensor._base
        return whole is None or (type(whole) is torch.Tensor and self._registry.at(whole) is None)

    def learn(self, lesson: _Lesson, module: nn.Module, entry: ObservedModule, root: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Remember what a layer's call came to."""
        taps = self._ledger._open[lesson.records :]
        roles = ([INPUT] if lesson.receives == NEW else []) + ([] if lesson.is_measured_already else [OUTPUT])
        if [tap.key.role for tap in taps] != roles or entry._calls != 1:
            return
        signal, has_node = args[0], output.grad_fn is not None
        if taps and not has_node and (lesson.receives in (KNOWN, NEW) or lesson.path is not None):
            return  # such a signal is known by its shape as well
        laid = [self._laid(tap, tensor) for tap, tensor in zip(taps, [signal, output][-len(taps) :], strict=True)] if taps else []
        if None in laid:
            return
        incoming = laid[0] if lesson.receives == NEW else None
        outgoing = laid[-1] if roles[-1:] == [OUTPUT] else (None, output.shape, output.stride(), None, None, None, None, 0, 0, 0)
        known = lesson.known
        self._teach(
            module,
            entry,
            root,
            MEASURED if taps else MEASURED_ALREADY,
            lesson.receives,
            (lesson.is_unchanged, lesson.is_known, has_node),
            entry.has_running_statistics and module.training and lesson.is_unchanged and lesson.receives == KNOWN,
            (signal.dtype, signal.shape, signal.stride()),
            (known.shape, known.strides, known.layout) if known is not None else (None, None, None),
            lesson.path,
            taps[0].made_by if lesson.receives == NEW else "",
            incoming,
            outgoing,
        )

    def learn_skipped(self, module: nn.Module, entry: ObservedModule, root: nn.Module) -> None:
        """Remember that nothing of a call is measured: it is no layer's."""
        self._teach(
            module,
            entry,
            root,
            SKIPPED,
            IGNORED,
            (False, False, False),
            False,
            (None, None, None),
            (None, None, None),
            None,
            "",
            None,
            None,
        )

    def _teach(
        self,
        module: nn.Module,
        entry: ObservedModule,
        root: nn.Module,
        comes_to: int,
        receives: int,
        flags: tuple[bool, bool, bool],
        has_statistics: bool,
        received: tuple[Any, Any, Any],
        known: tuple[Any, Any, Any],
        path: tuple[type, ...] | None,
        made_by: str,
        incoming: Any,
        outgoing: Any,
    ) -> None:
        identity = (module, entry.reference, entry, module.training, entry.gives_time_first, self._tree._generation, root)
        self._calls.learn(
            *identity,
            comes_to,
            receives,
            *flags,
            has_statistics,
            entry.depends_on_mode,
            *received,
            *known,
            path,
            made_by,
            incoming,
            outgoing,
        )

    def _laid(self, tap: Tap, tensor: torch.Tensor) -> tuple[Any, ...] | None:
        """Return how a signal lies and is read, as known_calls.c takes it; None where compiled code cannot read it."""
        measured = self._registry.at(tensor)
        if measured is None or measured.moments is not tap.moments:
            return None
        layout: Layout = measured.layout
        bare = tensor[None] if layout.is_single else tensor
        how = fused.plan(tuple(bare.shape), bare.stride(), layout)
        if tensor.dtype is not torch.float32 or not tensor.is_cpu or tensor.is_neg() or how is None:
            return None
        sizes = (how.true_samples, how.true_positions)
        return (tap.key, tensor.shape, tensor.stride(), layout, *sizes, how, how.address, how.result_length, how.table_length)


def known_calls(taps: TakesGradients, tree: ModuleTree, ledger: Ledger, registry: SignalRegistry) -> KnownCalls | None:
    """Return what remembers calls, where this installation has it."""
    compiled = _compiled()
    return KnownCalls(taps, tree, ledger, registry, compiled) if compiled is not None else None


@cache
def _compiled() -> Any:
    if os.environ.get("BNPROBE_KNOWN_CALLS", "1") == "0" or not fused.available():
        return None
    try:
        from bnprobe.observe.signals import _known_calls  # type: ignore[attr-defined]
    except ImportError:
        return None
    return _known_calls if _known_calls.INTERFACE == INTERFACE else None


_blocks = Blocks()


def _new_block(count: int) -> tuple[Any, int, int]:
    """Return a block for results, its address and its size, in figures."""
    block = _blocks.block(count)
    return block, block.ctypes.data, block.size
