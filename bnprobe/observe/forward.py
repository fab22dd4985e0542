"""Forward taps: every layer's output, measured as it is produced, and every weight layer's input that no layer produced.

One global forward hook does it: nothing is left on the user's modules, so they pickle, copy and script as ever. A signal is measured
inside the hook, because the next in-place operation overwrites it. Its gradient is caught by a hook on the tensor: module backward
hooks would break in-place activations (pytorch#61519), tensor hooks see the gradient with respect to the value that was measured.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.utils._pytree import tree_leaves

from bnprobe.measure.layout import Layout
from bnprobe.measure.moments import Moments, moments
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules import ModuleCensus, ObservedModule, layout_of

#: A module called more often than this before one backward (a cell in a loop over time) has its first calls recorded.
CALL_LIMIT = 8

OUTPUT, INPUT = "output", "input"


@dataclass(frozen=True)
class TapKey:
    """Which signal was measured: a module's output or input, at its n-th call before a backward."""

    module: weakref.ref[nn.Module]
    call: int
    role: str


@dataclass(frozen=True)
class Tap:
    """One measured signal of the open step."""

    key: TapKey
    is_gradient: bool
    in_training: bool
    moments: Moments


class ForwardTaps:
    """Measures the forward passes of one step after another.

    Args:
        census: the modules.
        faults: where a fault inside a hook goes.
        on_forward: called when a forward with gradient begins to be seen.
        on_gap: called with (subject, reason) for what could not be measured.
    """

    def __init__(
        self,
        census: ModuleCensus,
        faults: Faults,
        on_forward: Callable[[], None],
        on_gap: Callable[[str, str], None],
    ) -> None:
        self.seconds = 0.0
        self.evaluations = 0
        self.batch_size = 0
        self.muted = False
        self._census = census
        self._faults = faults
        self._on_forward = on_forward
        self._on_gap = on_gap
        self._taps: list[Tap] = []
        self._handle: Any = None
        # id(tensor) -> (tensor, version, layout) of every signal measured since the last backward.
        self._measured: dict[int, tuple[weakref.ref[torch.Tensor], int, Layout]] = {}

    @property
    def attached(self) -> bool:
        """Whether forwards are being measured."""
        return self._handle is not None

    def attach(self) -> None:
        """Begin to measure forwards."""
        if self._handle is None:
            self._handle = torch_module.register_module_forward_hook(self._hook)

    def detach(self) -> None:
        """Stop; a step that is not measured costs nothing per layer."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def end_micro_step(self) -> None:
        """A backward has run."""
        self._census.end_micro_step()
        self._measured.clear()

    def take(self) -> list[Tap]:
        """Return the taps of the step that ends and start afresh."""
        taps, self._taps = self._taps, []
        self._census.end_micro_step()
        self._census.forget_hidden_forwards()
        self._measured.clear()
        self.batch_size = 0
        return taps

    # -- the hook -----------------------------------------------------------------------------------------------------

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Measure one module call. Must return None: anything else would replace the output."""
        if self.muted:
            return
        started = time.perf_counter()
        entry = self._census.get(module)
        if not entry.disabled:
            try:
                self._observe(module, entry, args, output)
            except Exception as error:
                entry.disabled = True
                self._faults.report(f"layer {self._census.name(module) or type(module).__name__}", error)
        self.seconds += time.perf_counter() - started

    def _observe(self, module: nn.Module, entry: ObservedModule, args: tuple[Any, ...], output: Any) -> None:
        if _is_traced():
            return
        in_backward = torch._C._current_graph_task_id() != -1
        if not torch.is_grad_enabled():
            self._observe_without_gradient(module, entry, in_backward)
            return
        if in_backward and not entry.hidden_forwards:
            return  # activation checkpointing calls again what was measured already
        if in_backward:
            entry.hidden_forwards -= 1
        if not entry.is_layer:
            return
        if not in_backward:
            self._on_forward()
        call = self._census.count_call(entry)
        if call >= CALL_LIMIT:
            self._on_gap(
                f"{self._census.name(module)}, calls beyond {CALL_LIMIT}",
                f"only the first {CALL_LIMIT} calls before a backward are measured",
            )
            return
        reference = weakref.ref(module)
        in_training = self._census.root(module).training
        came_from = self._observe_input(reference, entry, call, args, in_training)
        self._observe_output(reference, module, entry, call, output, in_training, came_from)

    def _observe_without_gradient(self, module: nn.Module, entry: ObservedModule, in_backward: bool) -> None:
        if module.training and not in_backward:
            entry.hidden_forwards += 1
        if not in_backward and self._census.root(module) is module and not isinstance(module, nn.modules.loss._Loss):
            self.evaluations += 1

    def _observe_input(
        self, reference: weakref.ref[nn.Module], entry: ObservedModule, call: int, args: tuple[Any, ...], in_training: bool
    ) -> Layout | None:
        """Measure what a weight layer receives unless a layer produced it; return the input's layout where it is known."""
        signal = next((leaf for leaf in args if isinstance(leaf, torch.Tensor)), None)
        if signal is None or not signal.is_floating_point() or signal.dim() == 0:
            return None
        known = self._lookup(signal)
        if known is not None and (known[0] or not entry.has_parameters):
            return known[1]
        module = reference()
        if not entry.has_parameters or module is None or signal.numel() == 0:
            return None
        layout = layout_of(module, entry.kind, signal.dim())
        if not self.batch_size:
            self.batch_size = signal.shape[layout.sample] if signal.dim() > 1 else 1
        self._measure(TapKey(reference, call, INPUT), signal, layout, in_training)
        return layout

    def _observe_output(
        self,
        reference: weakref.ref[nn.Module],
        module: nn.Module,
        entry: ObservedModule,
        call: int,
        output: Any,
        in_training: bool,
        came_from: Layout | None,
    ) -> None:
        signal = _first_tensor(output)
        if signal is None:
            self._on_gap(self._census.name(module) or type(module).__name__, f"its output, a {type(output).__name__}, holds no tensor")
            return
        if not signal.is_floating_point() or signal.dim() == 0 or signal.numel() == 0:
            return  # token ids, a loss value, nothing
        known = self._lookup(signal)
        if known is not None and known[0]:
            return  # the identity, a view, dropout that is switched off: measured already
        layout = layout_of(module, entry.kind, signal.dim())
        if came_from is not None and entry.kind in ("activation", "dropout", "other"):
            layout = came_from
        if not self.batch_size:
            self.batch_size = signal.shape[layout.sample] if signal.dim() > 1 else 1
        self._measure(TapKey(reference, call, OUTPUT), signal, layout, in_training)

    def _measure(self, key: TapKey, signal: torch.Tensor, layout: Layout, in_training: bool) -> None:
        if not _is_plain(signal):
            signal = signal.to_local() if hasattr(signal, "to_local") else signal
        if signal.dim() == 2 and layout.channel != 1:
            layout = Layout(channel=1, sample=0)
        self._measured[id(signal)] = (weakref.ref(signal), signal._version, layout)
        self._taps.append(Tap(key, False, in_training, moments(signal, layout)))
        if signal.requires_grad and not signal.is_leaf:
            signal.register_hook(self._gradient_hook(key, layout, in_training))  # type: ignore[no-untyped-call]

    def _gradient_hook(self, key: TapKey, layout: Layout, in_training: bool) -> Callable[[torch.Tensor], None]:
        # The closure must not hold the tensor or its grad_fn: that cycle runs through C++ and is never collected.
        def hook(gradient: torch.Tensor) -> None:
            if self.muted:
                return
            started = time.perf_counter()
            try:
                self._taps.append(Tap(key, True, in_training, moments(gradient, layout)))
            except Exception as error:
                module = key.module()
                self._faults.report(f"activation gradient of {self._census.name(module) if module else 'a layer'}", error)
            self.seconds += time.perf_counter() - started

        return hook

    def _lookup(self, signal: torch.Tensor) -> tuple[bool, Layout] | None:
        """Find a signal, or the one it is a view of, among those measured; (unchanged since, layout)."""
        base = signal._base
        for tensor in (signal, base) if base is not None else (signal,):
            known = self._measured.get(id(tensor))
            if known is not None and known[0]() is tensor:
                return known[1] == tensor._version, known[2]
        if base is not None:
            for measured, version, layout in self._measured.values():
                other = measured()
                if other is not None and other._base is base and other.numel() == signal.numel():
                    return version == signal._version, layout
        return None


def _first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first tensor of whatever a module returns: tensors, tuples, dicts, named tuples, dataclasses, other objects."""
    if isinstance(output, torch.Tensor):
        return output
    for leaf in tree_leaves(output):
        if isinstance(leaf, torch.Tensor):
            return leaf
    parts = output.values() if isinstance(output, Mapping) else getattr(output, "__dict__", {}).values()
    return next((leaf for part in parts for leaf in tree_leaves(part) if isinstance(leaf, torch.Tensor)), None)


def _is_plain(signal: torch.Tensor) -> bool:
    return type(signal) in (torch.Tensor, nn.Parameter)


def _is_traced() -> bool:
    """Whether this call is no training of its own: tracing, compiling, a functorch transform, a graph capture."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._functorch.maybe_current_level() is not None
        or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]
    )
