"""What batch norm meets in an evaluation: is the signal the one that its running statistics were gathered from?

The loss of an evaluation is the script's own business, and layers are not measured there. But of one batch after ``model.eval()`` the
signals that batch norms receive are compared with their running statistics: data that were prepared otherwise than those of the training
show there and nowhere else. A hook exists only between that call and the end of the first forward.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from bnprobe.measure.moments import moments
from bnprobe.observe.attaching.module_calls import after_forward
from bnprobe.observe.attaching.patches import Compilation, Patches
from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Stopwatch, Surroundings
from bnprobe.observe.modules.kinds import layout_of
from bnprobe.observe.signals.batch_statistics import BatchStatistics, batch_statistics
from bnprobe.observe.signals.records import OUTPUT, Tap, TapKey
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.torch_private import holds_numbers, is_traced, plain, user_modes_disabled

#: Steps between two looks: a script that samples from its model at every step is not to be slowed.
STEPS_BETWEEN = 10


class EvaluationTaps(Instrument):
    """Looks at the batch norms of evaluations.

    Args:
        around: what is there to look at.
        faults: where a fault inside a hook goes.
        watch: takes the time.
    """

    every_step = True

    def __init__(self, around: Surroundings, faults: Faults, watch: Stopwatch) -> None:
        self._watch = watch
        self._tree = around.tree
        self._axes = around.axes
        self._clock = around.clock
        self._faults = faults
        self._samples = 0
        self._gaps: dict[TapKey, BatchStatistics] = {}
        self._last = -STEPS_BETWEEN
        self._first = 0  # the module whose call ended first
        self._handle: Any = None
        #: Called before the clock is asked.
        self.before_look: Callable[[], None] = lambda: None

    @property
    def has_readings(self) -> bool:
        """Whether an evaluation was looked at since the last step was closed."""
        return bool(self._gaps)

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """The training goes on: the evaluation is over."""
        self.detach()

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return the gap of every batch norm that training has shown, and the evaluation's samples."""
        gaps, self._gaps = self._gaps, {}
        found = [(place, one) for key, one in gaps.items() if (place := self._axes.place(key)) is not None]
        if not found:
            return []
        return [
            *(("batch_norm_evaluation_gap", Reading(one.gap, [place])) for place, one in found),
            ("evaluation_batch_size", Reading([float(self._samples)])),
        ]

    @property
    def is_looking(self) -> bool:
        """Whether a hook is there."""
        return self._handle is not None

    def attach(self, patches: Patches) -> None:
        """Wait for evaluations."""
        patches.replace(nn.Module, "eval", self._seeing_eval)

    def detach(self) -> None:
        """The evaluation is over."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _seeing_eval(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def eval(module: nn.Module) -> Any:
            result = original(module)
            if self._handle is None and not torch.compiler.is_compiling():
                try:
                    self._begin()
                except Exception as error:
                    self._faults.report("evaluations", error)
            return result

        return eval

    def _begin(self) -> None:
        self.before_look()
        step = self._clock.last_update
        # A hook would make compiled code compile anew.
        if step < 0 or step - self._last < STEPS_BETWEEN or Compilation.in_use:
            return
        self._first = 0
        self._handle = after_forward(self._hook)

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Look at one call. Must return None: anything else would replace the output."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or is_traced():
            return
        try:
            with self._watch, user_modes_disabled():
                self._look(module, args)
        except Exception as error:
            self.detach()
            self._last = 2**62  # not again
            self._faults.report("batch norm in evaluations", error)

    def _look(self, module: Any, args: tuple[Any, ...]) -> None:
        root = self._tree.root(module)
        if not self._tree.has_parameters(root):
            return  # a transform of the data, a loss
        if id(module) == self._first:
            self.detach()  # the next batch, of a model that is called by its parts
            return
        self._first = self._first or id(module)
        self._last = self._clock.last_update
        entry = self._tree.get(module)
        if entry.has_running_statistics and not module.training and args and isinstance(args[0], torch.Tensor):
            signal = args[0]
            if signal.is_floating_point() and signal.numel() and holds_numbers(signal):
                measured = moments(plain(signal), layout_of(module, entry.kind, signal.dim()))
                statistics = batch_statistics(module, measured)
                if statistics is not None:
                    self._gaps[TapKey(entry.reference, 0, OUTPUT)] = statistics
                    self._samples = measured.samples
        if root is module:
            self.detach()
