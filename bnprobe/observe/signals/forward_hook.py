"""Forward taps: every layer's output, measured as it is produced, and every weight layer's input that no layer produced.

One global forward hook does it: nothing is left on the user's modules, so they pickle, copy and script as ever. A signal is
measured inside the hook, because the next in-place operation overwrites it. Its gradient is caught by a hook on the tensor: module
backward hooks would break in-place activations (pytorch#61519), tensor hooks see the gradient of the value that was measured.

What is measured counts once a backward has gone through it. A forward that no backward follows (an evaluation with gradients
enabled, a forward that failed) is dropped when later backwards have shown which forwards they belong to.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from bnprobe.measure.layout import CHANNELS_LAST, TIME_FIRST, Layout
from bnprobe.measure.moments import Moments, moments
from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.batch_statistics import BatchStatistics, batch_statistics
from bnprobe.observe.modules.kinds import ObservedModule, layout_of
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.signals.outputs import first_signal
from bnprobe.observe.signals.records import INPUT, OUTPUT, Modes, Pass, Tap, TapKey, batch_size_of, renumbered
from bnprobe.observe.training_thread import TrainingThread
from bnprobe.torch_private import (
    ConvNd,
    holds_numbers,
    in_backward,
    is_in_forward_mode,
    is_traced,
    is_transformed,
    plain,
    user_modes_disabled,
)

#: A module called more often than this in one forward (a cell in a loop over time) has its first calls recorded.
CALL_LIMIT = 8

#: Steps for which a forward is kept whose gradient has not come yet.
STEPS_TO_WAIT = 1


#: Kinds of module whose output has the axes of what they receive.
_FOLLOWING_KINDS = ("activation", "dropout", "other")


class _Measured(NamedTuple):
    tensor: weakref.ref[torch.Tensor]
    version: int
    size: int
    layout: Layout
    moments: Moments


@dataclass
class _Waiting:
    taps: list[Tap]
    steps: int = 0


_NOTHING = _Waiting([])


class ForwardTaps:
    """Measures the forward passes of one step after another.

    Args:
        tree: the modules.
        faults: where a fault inside a hook goes.
        on_forward: called when a forward with gradient begins to be seen.
        on_gap: called with (subject, reason) for what could not be measured.
    """

    def __init__(
        self,
        tree: ModuleTree,
        faults: Faults,
        on_forward: Callable[[], None],
        on_gap: Callable[[str, str], None],
    ) -> None:
        self.seconds = 0.0
        self.muted = False
        #: Gradients that somebody else asks for (a penalty, a curvature) are not the training's.
        self.gradients_muted = 0
        #: Some calls were seen and not measured, and a gap says so: a layer that is missing may be among them.
        self.missed_calls = False
        #: Told (tap, signal, layout, whether it is one sample without a batch axis) of every signal that was measured.
        self.on_signal: Callable[[Tap, torch.Tensor, Layout, bool], None] | None = None
        #: Tells whose forwards are recorded, and keeps two from being taken in at once.
        self.thread = TrainingThread(lambda: None, lambda: False)
        self._tree = tree
        self._faults = faults
        self._on_forward = on_forward
        self._on_gap = on_gap
        self._taps: list[Tap] = []  # of complete micro-steps
        self._open: list[Tap] = []  # of the micro-step that is going on
        self._batch_size = 0
        # Forwards that the backward after them did not go through: another may (a generator's, after its critic's).
        self._waiting: dict[Pass, _Waiting] = {}
        self._order = 0
        self._last_pass: Pass | None = None
        self._modes: dict[Pass, list[int]] = {}
        self._time_first: set[tuple[int, int]] = set()
        # A sum of two signals was measured by nobody, but it has the shape of what was added.
        self._layouts: dict[torch.Size, Layout] = {}
        self._unseen: set[int] = set()
        self._handle: Any = None
        # By address: a view, a detached alias and the tensor itself are the same signal while the memory lives and is unchanged.
        self._measured: dict[int, _Measured] = {}

    @property
    def attached(self) -> bool:
        """Whether forwards are being measured."""
        return self._handle is not None

    @property
    def holds_signals(self) -> bool:
        """Whether there is anything that was measured, or that waits for a backward."""
        return bool(self._taps or self._open or self._waiting or self._modes)

    def attach(self) -> None:
        """Begin to measure forwards."""
        if self._handle is None:
            self._handle = torch_module.register_module_forward_hook(self._hook, always_call=True)

    def detach(self) -> None:
        """Stop; a step that is not measured costs nothing per layer."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def end_micro_step(self) -> None:
        """A backward has run: keep the forwards it went through."""
        taps, self._open = self._open, []
        if not taps and not self._waiting:
            self._measured.clear()
            self._layouts.clear()
            return  # a step that is not measured
        self._end_forwards(taps)
        live = {tap.forward for tap in taps if tap.is_gradient}
        waited: list[Tap] = []
        if live:  # otherwise all that was measured is frozen: there is nothing to tell by, and everything stays
            waited = [tap for forward in live for tap in self._waiting.pop(forward, _NOTHING).taps]
            for tap in taps:
                if tap.forward not in live:
                    self._waiting.setdefault(tap.forward, _Waiting([])).taps.append(tap)
            taps = [tap for tap in taps if tap.forward in live]
        self._batch_size += batch_size_of(taps)
        self._taps += renumbered(waited + taps)
        self._measured.clear()
        self._layouts.clear()

    def _end_forwards(self, taps: Iterable[Tap]) -> None:
        """A model whose parts are called one by one, as by a Lightning trainer, is never complete: a backward ends its forward."""
        for forward in {tap.forward for tap in taps}:
            root = forward.root()
            if root is not None and (entry := self._tree.get(root)).forwards == forward.number:
                entry.forwards += 1

    def drop_micro_step(self) -> None:
        """A backward has failed: what it would have belonged to is no part of the step."""
        self._open.clear()
        self._measured.clear()

    def take(self) -> tuple[list[Tap], int, int]:
        """Return the taps of the step that ends, its samples and the evaluations since the last one, and start afresh."""
        taps, self._taps = self._taps, []
        if not taps:
            taps, self._open = renumbered(self._open), []  # stepped without a backward that we saw
            self._batch_size += batch_size_of(taps)
        evaluations = self._tree.take_evaluations() + self._forget_waiting()
        batch_size, self._batch_size = self._batch_size, 0
        return taps, batch_size, evaluations

    def take_modes(self, taps: Sequence[Tap], is_trained: Callable[[nn.Module], bool]) -> Modes | None:
        """Return in which mode the forwards of the step that ends ran, those of models that are trained; None where there was none."""
        if not (taps or self._modes):
            return None
        forwards = [one for one in {tap.forward for tap in taps} if (root := one.root()) is not None and is_trained(root)]
        counts = [self._modes.get(forward, (0, 0)) for forward in forwards]
        self._modes = {forward: count for forward, count in self._modes.items() if forward in self._waiting}
        if not forwards:
            return None
        return Modes(sum(one[0] for one in counts), sum(one[1] for one in counts), int(all(one.in_training for one in forwards)))

    def _forget_waiting(self) -> int:
        """Give up forwards whose gradient did not come within two steps; return how many of them were evaluations."""
        evaluations = 0
        for forward, waiting in list(self._waiting.items()):
            waiting.steps += 1
            if waiting.steps > STEPS_TO_WAIT:
                del self._waiting[forward]
                evaluations += not forward.in_training
        return evaluations

    def take_unfinished(self) -> list[Tap]:
        """Return what was measured since the last step, although no update followed."""
        taps = self._taps + renumbered(self._open)
        self._taps, self._open = [], []
        return taps

    # -- the hook -----------------------------------------------------------------------------------------------------

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Measure one module call. Must return None: anything else would replace the output."""
        if self.muted or id(module) in self._unseen or not self.thread.sees():
            return
        if output is None and sys.exc_info()[1] is not None:
            self._tree.note_failed_forward(module)
            return
        started = time.perf_counter()
        try:
            with self.thread.lock, user_modes_disabled():
                self._observe(module, self._tree.get(module), args, output)
        except Exception as error:
            self._faults.report(f"layer {self._safe_name(module)}", error)
            self._unseen.add(id(module))
            self.missed_calls = True
        self.seconds += time.perf_counter() - started

    def _safe_name(self, module: nn.Module) -> str:
        try:
            return self._tree.name(module) or type(module).__name__
        except Exception:
            return type(module).__name__

    def _observe(self, module: nn.Module, entry: ObservedModule, args: tuple[Any, ...], output: Any) -> None:
        if self._is_no_training(module):
            return
        inside = in_backward()
        if not torch.is_grad_enabled():
            if not inside:
                self._order += 1
                self._tree.note_hidden_forward(module, entry, self._order)
            return
        if inside and not entry.hidden_forwards:
            return  # activation checkpointing calls again what was measured already
        order = entry.hidden_forwards.pop(0) if inside else self._next_order()
        if not inside:
            self._on_forward()
        root, root_entry = self._tree.model(module, entry)
        if entry.is_layer and self._tree.has_parameters(root):
            root_entry.is_trained, root_entry.thread = True, threading.get_ident()
            self._observe_layer(module, entry, args, output, order, self._pass_of(root_entry, root.training))
        if root is module:
            entry.forwards += 1  # its children's hooks have fired before

    def _next_order(self) -> int:
        self._order += 1
        return self._order

    def _pass_of(self, root: ObservedModule, in_training: bool) -> Pass:
        last = self._last_pass
        if last is None or last.number != root.forwards or last.root is not root.reference or last.in_training != in_training:
            last = self._last_pass = Pass(root.reference, root.forwards, in_training)
        return last

    def _observe_layer(
        self, module: nn.Module, entry: ObservedModule, args: tuple[Any, ...], output: Any, order: int, forward: Pass
    ) -> None:
        if entry.depends_on_mode:
            self._modes.setdefault(forward, [0, 0])[not module.training] += 1
        call = entry.count_call(forward.number)
        if call >= CALL_LIMIT:
            self._on_gap(
                f"{self._safe_name(module)}, calls beyond {CALL_LIMIT}",
                f"only the first {CALL_LIMIT} calls in one forward are measured",
            )
            return
        came_from = self._observe_input(entry, forward, call, order, args)
        statistics = None
        if entry.has_running_statistics and module.training and args and (known := self._lookup(args[0])) is not None:
            statistics = batch_statistics(module, known.moments) if known.version == args[0]._version else None
        self._observe_output(module, entry, forward, call, order, output, came_from, statistics)

    def _observe_input(self, entry: ObservedModule, forward: Pass, call: int, order: int, args: tuple[Any, ...]) -> Layout | None:
        """Measure what a weight layer receives unless a layer produced it; return the input's layout where it is known."""
        signal = next((leaf for leaf in args if isinstance(leaf, torch.Tensor)), None)
        if signal is None or not signal.is_floating_point() or signal.dim() == 0 or not holds_numbers(signal):
            return None
        known = self._lookup(signal)
        if known is not None and (known.version == signal._version or not entry.has_parameters):
            return known.layout
        similar = self._layouts.get(signal.shape) if entry.kind in _FOLLOWING_KINDS else None
        module = entry.reference()
        if not entry.has_parameters or module is None or signal.numel() == 0:
            return similar
        layout = similar or self._with_sample_axis(layout_of(module, entry.kind, signal.dim()), signal)
        self._measure(TapKey(entry.reference, call, INPUT), forward, order, signal, layout, _is_single(module, signal))
        return layout

    def _observe_output(
        self,
        module: nn.Module,
        entry: ObservedModule,
        forward: Pass,
        call: int,
        order: int,
        output: Any,
        came_from: Layout | None,
        statistics: BatchStatistics | None,
    ) -> None:
        signal = first_signal(output)
        if signal is None:
            self._on_gap(self._safe_name(module), f"its output, a {type(output).__name__}, holds no tensor that could be found")
            return
        if signal.is_complex():
            self._on_gap(self._safe_name(module), "its output is complex, which is not measured")
        if not signal.is_floating_point() or signal.dim() == 0:
            return  # token ids, a loss value
        if not holds_numbers(signal):
            if not signal.is_meta and (signal.layout is not torch.strided or signal.is_nested):
                self._on_gap(self._safe_name(module), f"its output is a {_storage_name(signal)} tensor, which is not measured")
            return
        if signal.numel() == 0:
            return
        known = self._lookup(signal)
        if known is not None and known.version == signal._version:
            return  # the identity, a view, dropout that is switched off: measured already
        layout = layout_of(module, entry.kind, signal.dim())
        if came_from is not None and entry.kind in _FOLLOWING_KINDS:
            layout = came_from
        elif came_from == TIME_FIRST and layout == CHANNELS_LAST and signal.dim() == 3:
            layout = TIME_FIRST
        if layout == TIME_FIRST and signal.dim() == 3:
            self._time_first.add((signal.shape[0], signal.shape[1]))
        layout = self._with_sample_axis(layout, signal)
        self._measure(TapKey(entry.reference, call, OUTPUT), forward, order, signal, layout, _is_single(module, signal), statistics)

    def _with_sample_axis(self, layout: Layout, signal: torch.Tensor) -> Layout:
        """Recognise (T, N, C) behind additions and linear layers by the shape that a time-first layer had."""
        if layout == CHANNELS_LAST and signal.dim() == 3 and (signal.shape[0], signal.shape[1]) in self._time_first:
            return TIME_FIRST
        return Layout(channel=1) if signal.dim() == 2 else layout

    def _measure(
        self,
        key: TapKey,
        forward: Pass,
        order: int,
        signal: torch.Tensor,
        layout: Layout,
        is_single: bool,
        statistics: BatchStatistics | None = None,
    ) -> None:
        bare = plain(signal)
        measured = moments(bare[None] if is_single else bare, layout)
        self._measured[bare.data_ptr()] = _Measured(weakref.ref(signal), signal._version, signal.numel(), layout, measured)
        self._layouts[signal.shape] = layout
        made_by = _operation(signal) if key.role == INPUT else ""
        tap = Tap(key, False, forward, order, measured, key.call, signal.dtype, made_by, statistics)
        self._open.append(tap)
        if self.on_signal is not None:
            self.on_signal(tap, signal, layout, is_single)
        if signal.requires_grad and not signal.is_leaf:
            hook = self._gradient_hook(key, forward, order, layout, is_single)
            signal.register_hook(hook)  # type: ignore[no-untyped-call]

    def _gradient_hook(self, key: TapKey, forward: Pass, order: int, layout: Layout, is_single: bool) -> Callable[[torch.Tensor], None]:
        # The closure must not hold the tensor or its grad_fn: that cycle runs through C++ and is never collected.
        @torch.utils.hooks.unserializable_hook  # type: ignore[untyped-decorator]
        def hook(gradient: torch.Tensor) -> None:
            if self.muted or self.gradients_muted or self.thread.is_other():
                return
            started = time.perf_counter()
            try:
                with user_modes_disabled():
                    if holds_numbers(gradient):
                        bare = plain(gradient)
                        self._open.append(Tap(key, True, forward, order, moments(bare[None] if is_single else bare, layout)))
            except Exception as error:
                module = key.module()
                self._faults.report(f"activation gradient of {self._safe_name(module) if module else 'a layer'}", error)
            self.seconds += time.perf_counter() - started

        return hook  # type: ignore[no-any-return]

    def _lookup(self, signal: torch.Tensor) -> _Measured | None:
        """Find a signal among those measured: itself, an alias of it, or what it is a slice of."""
        known = self._measured.get(plain(signal).data_ptr())
        if known is not None and known.tensor() is not None and known.size == signal.numel():
            return known
        whole = signal._base
        known = self._measured.get(plain(whole).data_ptr()) if whole is not None else None
        return known if known is not None and known.tensor() is whole else None

    def _is_no_training(self, module: nn.Module) -> bool:
        """Whether this call is no training of its own: tracing, compiling, a functorch transform, forward mode, a graph capture."""
        if is_transformed():
            self.missed_calls = True
            self._on_gap("modules called inside torch.func transforms", "inside a transform a signal has no numbers of its own")
            return True
        return bool(
            torch.compiler.is_compiling()
            or is_traced()
            or is_in_forward_mode()
            or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]
        )


def _operation(signal: torch.Tensor) -> str:
    """Return the operation that made a signal, as autograd knows it: "tanh", "relu", "add"; "" for data."""
    name = type(signal.grad_fn).__name__ if signal.grad_fn is not None else ""
    return name.rstrip("0123456789").removesuffix("Backward").lower()


def _is_single(module: nn.Module, signal: torch.Tensor) -> bool:
    """Whether a signal is one sample without a batch axis: convolutions take (C, H, W) as well."""
    # Not by the weight's axes: to look at a parametrised weight is to compute it, and spectral norm changes by being computed.
    return isinstance(module, ConvNd) and signal.dim() == len(module.kernel_size) + 1


def _storage_name(signal: torch.Tensor) -> str:
    return "nested" if signal.is_nested else str(signal.layout).removeprefix("torch.").replace("_", " ")
