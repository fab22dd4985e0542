"""The forward hook: every layer's output, measured as it is produced, and every weight layer's input that no layer produced.

One global forward hook does it: nothing is left on the user's modules, so they pickle, copy and script as ever. A signal is
measured inside the hook, because the next in-place operation overwrites it. Its gradient is caught by a hook on the tensor: module
backward hooks would break in-place activations (pytorch#61519), tensor hooks see the gradient of the value that was measured.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from bnprobe.measure.layout import Layout
from bnprobe.measure.moments import moments
from bnprobe.observe.attaching.module_calls import after_forward
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules.evaluation_count import EvaluationCount
from bnprobe.observe.modules.kinds import ObservedModule, layout_of
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.signals.batch_statistics import BatchStatistics, batch_statistics
from bnprobe.observe.signals.known_calls import known_calls
from bnprobe.observe.signals.ledger import Ledger
from bnprobe.observe.signals.outputs import first_signal, operation_of, storage_name
from bnprobe.observe.signals.patience import Patience
from bnprobe.observe.signals.records import INPUT, OUTPUT, Pass, Tap, TapKey
from bnprobe.observe.signals.registry import SignalRegistry, Source, follow, learn
from bnprobe.observe.signals.rest import Rest
from bnprobe.observe.steps.modes import Modes
from bnprobe.observe.training_thread import TrainingThread
from bnprobe.originals import Original
from bnprobe.torch_private import (
    holds_numbers,
    in_backward,
    is_in_forward_mode,
    is_traced,
    is_transformed,
    plain,
    sequence_number,
    user_modes_disabled,
)

#: A module called more often than this in one forward (a cell in a loop over time) has its first calls recorded.
CALL_LIMIT = 8


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
        #: Some ran without gradient or in forward mode.
        self.ran_without_backward = False
        #: Told (tap, signal, layout) of every signal that was measured.
        self.on_signal: Callable[[Tap, torch.Tensor, Layout], None] | None = None
        self.evaluations = EvaluationCount(tree)
        #: Tells whose forwards are recorded, and keeps two from being taken in at once.
        self.thread = TrainingThread(lambda: None, lambda: False)
        self._tree = tree
        self._faults = faults
        self._on_forward = on_forward
        self._on_gap = on_gap
        self._ledger = Ledger()
        self._registry = SignalRegistry()
        self._known = known_calls(self, tree, self._ledger, self._registry)
        self._patience = Patience()
        self._rest = Rest(self._go_on)
        self._uncounted = False  # forwards went by since the last step of which it is not known whether they were evaluations
        self._is_partial = False  # the step's backward calls went through forwards that were not measured
        self._order = 0
        self._with_gradient = 0  # place of the last call whose gradient is waited for
        self._closed = 0  # the same as the last step was closed
        self._last_pass: Pass | None = None
        self._unseen: set[int] = set()
        self._handle: Any = None

    @property
    def attached(self) -> bool:
        """Whether forwards are being measured, or would be if training went on."""
        return self._handle is not None or self._rest.is_on

    @property
    def holds_signals(self) -> bool:
        """Whether there is anything that was measured, or that waits for a backward."""
        return not self._ledger.is_empty

    def attach(self) -> None:
        """Begin to measure forwards."""
        self._rest.end()
        self._end_known()
        self._hook_again()

    def detach(self) -> None:
        """Stop; a step that is not measured costs nothing per layer."""
        self._rest.end()
        self._end_known()
        self._unhook()

    def end_micro_step(self) -> None:
        """A backward has run: keep the forwards it went through."""
        self._registry.clear()
        self._end_known()
        rested = self._rest.is_on and self._handle is None
        if self._rest.is_on:
            self.attach()
        if self._ledger.is_idle and not rested:
            return  # a step that is not measured
        missed = rested or self._patience.refused > 0
        passes, live = self._ledger.end_micro_step(missed=missed)
        self._end_forwards(passes)
        if missed and live == passes:
            self._is_partial = True
        self._patience.answer(passes, live, missed=missed)

    def drop_micro_step(self) -> None:
        """A backward has failed: what it would have belonged to is no part of the step."""
        self._ledger.drop_micro_step()
        self._registry.clear()
        self._end_known()

    def take(self) -> tuple[list[Tap], int, int]:
        """Return the taps of the step that ends, its samples and the evaluations since the last one, and start afresh.

        Samples are 0, and evaluations -1, where some of them went by unseen.
        """
        if self._known is not None:
            self._known.end()
            self.seconds += self._known.take_seconds()
        self._closed = self._with_gradient
        taps, batch_size, evaluations = self._ledger.take()
        evaluations += self.evaluations.take()
        is_partial, uncounted, self._is_partial, self._uncounted = self._is_partial, self._uncounted, False, False
        self._patience.begin()
        return taps, 0 if is_partial else batch_size, -1 if uncounted else evaluations

    def parts_without_gradient(self) -> set[str]:
        """Return the names of parts that ran without gradient inside forwards that trained. For the end of a run."""
        self.evaluations.end(self._closed)
        return self.evaluations.parts_without_gradient

    def take_modes(self, taps: Sequence[Tap], is_trained: Callable[[nn.Module], bool]) -> Modes | None:
        """Return in which mode the forwards of the step that ends ran, those of models that are trained; None where there was none."""
        return self._ledger.take_modes(taps, is_trained)

    def modes_now(self) -> Modes | None:
        """Return the present modes of what ran at the last measured step, which are those of a step that is not measured."""
        return self._ledger.modes_now()

    def modes_of_modules(self) -> list[tuple[weakref.ref[nn.Module], bool]]:
        """Return the modules whose modes those are, and the mode of each."""
        return self._ledger.modes_of_modules()

    def unfinished(self) -> list[Tap]:
        """Return what was measured since the last step, although no update followed."""
        return self._ledger.unfinished()

    def _end_forwards(self, passes: Iterable[Pass]) -> None:
        """A model whose parts are called one by one, as by a Lightning trainer, is never complete: a backward ends its forward."""
        for forward in passes:
            root = forward.root()
            if root is not None and (entry := self._tree.get(root)).forwards == forward.number:
                entry.forwards += 1

    def _end_known(self) -> None:
        if self._known is not None:
            self._known.end()

    # -- the hook -----------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Training goes on."""
        self._patience.begin()
        self._hook_again()

    def _hook_again(self) -> None:
        if self._handle is None:
            self._handle = after_forward(self._hook)

    def _unhook(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Measure one module call. Must return None: anything else would replace the output."""
        if self._known is not None and self._known.take(module, args, output):
            return
        if self.muted or id(module) in self._unseen or not self.thread.sees():
            return
        if output is None and sys.exc_info()[1] is not None:
            self._tree.note_failed_forward(module)
            return
        started = Original.perf_counter()
        try:
            with self.thread.lock, user_modes_disabled():
                self._observe(module, self._tree.get(module), args, output)
        except Exception as error:
            self._faults.report(f"layer {self._safe_name(module)}", error)
            self._unseen.add(id(module))
            self.missed_calls = True
            if self._known is not None:
                self._known.forget()
        self.seconds += Original.perf_counter() - started

    def _safe_name(self, module: nn.Module) -> str:
        try:
            return self._tree.name(module) or type(module).__name__
        except Exception:
            return type(module).__name__

    def _observe(self, module: nn.Module, entry: ObservedModule, args: tuple[Any, ...], output: Any) -> None:
        if self._is_no_training(entry):
            return
        inside = in_backward()
        if not torch.is_grad_enabled():
            if not inside:
                entry.ran_otherwise = self.ran_without_backward = True
                self.evaluations.note(module, entry, self._next_order())
                self._refuse(hidden=True)
            return
        entry.was_called = True
        if inside and not entry.hidden_forwards:
            return  # activation checkpointing calls again what was measured already
        hidden = entry.hidden_forwards.popleft() if inside else 0
        if not inside:
            self._on_forward()
        root, root_entry = self._tree.model(module, entry)
        known = None if inside or root is module else self._known
        if entry.is_layer and self._tree.has_parameters(root):
            forward = self._pass_of(root_entry, root.training)
            if self._patience.admits(forward, self._ledger.waiting_bytes):
                root_entry.thread = threading.get_ident()
                if not root_entry.is_trained:
                    self._tree.note_trained(root_entry)
                if known is not None:
                    known.begin(forward, self.thread)
                    if known.take(module, args, output):
                        return  # the first call of this forward
                order = hidden or self._next_order()
                self._with_gradient = max(self._with_gradient, order)
                lesson = known.look(entry, args, output) if known is not None and known.wants(module) else None
                self._observe_layer(module, entry, args, output, order, forward)
                if known is not None and lesson is not None:
                    known.learn(lesson, module, entry, root, args, output)
            else:
                self._refuse(hidden=False)
        elif known is not None and not entry.is_layer and known.wants(module):
            known.learn_skipped(module, entry, root)
        if root is module:
            self._end_known()
            entry.forwards += 1  # its children's hooks have fired before
            if self._patience.refused and entry.is_trained:
                self._note_refused(module)

    def _next_order(self) -> int:
        self._order += 1
        return self._order

    def _refuse(self, *, hidden: bool) -> None:
        """A call was not measured: after many in a row the hook is taken away until something tells that training goes on."""
        is_exhausted = self._patience.is_exhausted(hidden=hidden)
        if (is_exhausted or not hidden) and not self._rest.is_on:
            self._rest.begin()
        self._uncounted = self._uncounted or is_exhausted or not hidden
        if is_exhausted:
            self._registry.clear()
            self._unhook()

    def _pass_of(self, root: ObservedModule, in_training: bool) -> Pass:
        last = self._last_pass
        if last is None or last.number != root.forwards or last.root is not root.reference or last.in_training != in_training:
            last = self._last_pass = Pass(root.reference, root.forwards, in_training)
        return last

    def _observe_layer(
        self, module: nn.Module, entry: ObservedModule, args: tuple[Any, ...], output: Any, order: int, forward: Pass
    ) -> None:
        if entry.depends_on_mode:
            self._ledger.note_mode(forward, entry.reference, in_training=module.training)
        call = entry.count_call(forward.number)
        if call >= CALL_LIMIT:
            self._on_gap(
                f"{self._safe_name(module)}, calls beyond {CALL_LIMIT}",
                f"only the first {CALL_LIMIT} calls in one forward are measured",
            )
            self._refuse(hidden=True)
            return
        source = self._observe_input(module, entry, forward, call, order, args)
        statistics = None
        if entry.has_running_statistics and module.training and source is not None and source.is_unchanged(args[0]):
            statistics = batch_statistics(module, source.measured.moments)
        self._observe_output(module, entry, forward, call, order, output, source, statistics)

    def _observe_input(
        self, module: nn.Module, entry: ObservedModule, forward: Pass, call: int, order: int, args: tuple[Any, ...]
    ) -> Source | None:
        """Measure what a weight layer receives unless a layer produced it; return what is known of it."""
        signal = next((leaf for leaf in args if isinstance(leaf, torch.Tensor)), None)
        if signal is None or not signal.is_floating_point() or signal.dim() == 0 or not holds_numbers(signal):
            return None
        known = self._registry.find(signal)
        if known is not None and (not entry.has_parameters or known.is_unchanged(signal)):
            if entry.kind in ("recurrent", "attention"):
                learn(known, layout_of(module, entry.kind, signal.dim()))
            return known
        source = self._registry.origin(signal)
        if not entry.has_parameters or signal.numel() == 0:
            return source
        layout = follow(module, entry, signal.shape, source)
        self._measure(TapKey(entry.reference, call, INPUT), entry, forward, order, signal, layout, source)
        return self._registry.find(signal)

    def _observe_output(
        self,
        module: nn.Module,
        entry: ObservedModule,
        forward: Pass,
        call: int,
        order: int,
        output: Any,
        source: Source | None,
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
                self._on_gap(self._safe_name(module), f"its output is a {storage_name(signal)} tensor, which is not measured")
            return
        if signal.numel() == 0:
            return
        known = self._registry.find(signal)
        if known is not None and known.is_unchanged(signal) and not _is_given_from_within(module, entry, known, source):
            return  # the identity, a view, dropout that is switched off: measured already
        layout = follow(module, entry, signal.shape, source)
        self._measure(TapKey(entry.reference, call, OUTPUT), entry, forward, order, signal, layout, source, statistics)

    def _measure(
        self,
        key: TapKey,
        entry: ObservedModule,
        forward: Pass,
        order: int,
        signal: torch.Tensor,
        layout: Layout,
        source: Source | None,
        statistics: BatchStatistics | None = None,
    ) -> None:
        measured = moments(plain(signal), layout)
        self._registry.add(signal, layout, measured, entry, source)
        made_by = operation_of(signal) if key.role == INPUT else ""
        node = sequence_number(signal.grad_fn) if signal.grad_fn is not None else -1
        tap = Tap(key, False, forward, order, measured, key.call, signal.dtype, made_by, statistics, node)
        self._ledger.add(tap)
        if self.on_signal is not None:
            self.on_signal(tap, signal, layout)
        if signal.requires_grad and not signal.is_leaf:
            signal.register_hook(self._gradient_hook(key, forward, order, layout))  # type: ignore[no-untyped-call]

    def _gradient_hook(self, key: TapKey, forward: Pass, order: int, layout: Layout) -> Callable[[torch.Tensor], None]:
        # The closure must not hold the tensor or its grad_fn: that cycle runs through C++ and is never collected.
        @torch.utils.hooks.unserializable_hook  # type: ignore[untyped-decorator]
        def hook(gradient: torch.Tensor) -> None:
            self.take_gradient(gradient, key, forward, order, layout)

        return hook  # type: ignore[no-any-return]

    def take_gradient(self, gradient: torch.Tensor, key: TapKey, forward: Pass, order: int, layout: Layout) -> None:
        """Measure a signal's gradient.

        Args:
            gradient: as backward hands it on; it may be that of another thread's training.
            key: the signal.
            forward: of the signal.
            order: place of the call among all calls.
            layout: axes of the signal.
        """
        if self.is_aside():
            return
        started = Original.perf_counter()
        try:
            with user_modes_disabled():
                if holds_numbers(gradient):
                    self._ledger.add(Tap(key, True, forward, order, moments(plain(gradient), layout)))
        except Exception as error:
            module = key.module()
            self._faults.report(f"activation gradient of {self._safe_name(module) if module is not None else 'a layer'}", error)
        self.seconds += Original.perf_counter() - started

    def is_aside(self) -> bool:
        """Whether the gradient that runs now is none of the recorded training's."""
        return self.muted or self.gradients_muted > 0 or self.thread.is_other()

    def _note_refused(self, model: nn.Module) -> None:
        self._on_gap(
            f"forwards of {self._safe_name(model)} that no backward followed for long",
            "the first ones are kept until a backward comes; more of them were not measured",
        )

    def _is_no_training(self, entry: ObservedModule) -> bool:
        """Whether this call is no training of its own: tracing, compiling, a functorch transform, forward mode, a graph capture."""
        if is_transformed():
            self.missed_calls = True
            self._on_gap("modules called inside torch.func transforms", "inside a transform a signal has no numbers of its own")
            return True
        if is_in_forward_mode():
            entry.ran_otherwise = self.ran_without_backward = True
            return True
        return bool(
            torch.compiler.is_compiling() or is_traced() or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]
        )


def _is_given_from_within(module: nn.Module, entry: ObservedModule, known: Source, received: Source | None) -> bool:
    """Whether a norm gives out what a module that it holds has given: timm's ``BatchNormAct2d`` calls its own activation.

    The signal was measured as that module's, and is a norm's, too: what a norm is asked for goes by its own name.
    """
    holds = entry.kind == "normalisation" and any(child is not None for child in module._modules.values())
    return holds and (received is None or known.measured is not received.measured)
