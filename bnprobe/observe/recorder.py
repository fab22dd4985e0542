"""The recorder: one training observed, one run file written.

It keeps the clock. A step opens with the first forward or backward after the last update and closes with the next one, so that several
optimizers stepping in a row, or one optimizer stepping inside backward, make one step. Programs without an optimizer object are counted
by their backward calls.
"""

from __future__ import annotations

import functools
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from bnprobe import __version__
from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.norms import total_norm
from bnprobe.observe.autograd_patch import BackwardTaps
from bnprobe.observe.compiled import CompiledModules
from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.batch_statistics import BatchStatistics
from bnprobe.observe.instruments.evaluations import EvaluationTaps
from bnprobe.observe.instruments.loss_graph import applies_softmax_twice, half_results
from bnprobe.observe.instruments.parameter_groups import GroupReader
from bnprobe.observe.instruments.stale_gradients import HandMoves, find_stale, find_stale_of
from bnprobe.observe.instruments.untrained_parameters import find_untrained
from bnprobe.observe.instruments.updates import UpdateMeasurement, UpdateMeter, trained_parameters
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.optimizers import Optimizer, OptimizerTaps
from bnprobe.observe.options import Progress, RecordOptions, StopTraining
from bnprobe.observe.patches import Patches
from bnprobe.observe.probes.curvature import CurvatureProbes
from bnprobe.observe.probes.line_probing import LineProbing
from bnprobe.observe.remedy_injector import RemedyInjector
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.observe.rows.open_step import OpenStep
from bnprobe.observe.schedule import Schedule
from bnprobe.observe.signals.forward_hook import ForwardTaps
from bnprobe.observe.signals.records import Tap, TapKey
from bnprobe.observe.torch_private import at_hand, user_modes_disabled
from bnprobe.store.writer import RunWriter

#: Backward calls without a step after which an existing optimizer is taken to be unused.
UNUSED_OPTIMIZER_BACKWARDS = 256
PROGRESS_SECONDS = 0.25


class Recorder:
    """Observes the training in this process and writes it to a run file.

    Args:
        path: the run file; an existing one is replaced (the command line has asked before).
        options: what to record.
        provenance: root attributes that say how the run was made.
        on_progress: called a few times a second at most.

    Raises:
        RunFileError: the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        options: RecordOptions,
        provenance: Mapping[str, str],
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._options = options
        self._looks_further = options.line_probe is not None or options.curvature is not None
        self._has_limits = options.max_steps is not None or options.stop_when_lost
        #: False while nothing is measured, nothing that was waits for a backward, and nothing is asked for beyond: most steps.
        self._is_measuring = True
        self._on_progress = on_progress
        self._writer = RunWriter(path, {**provenance, **_environment(), "pid": os.getpid()}, overwrite=True)
        self._patches = Patches()
        self._injector = RemedyInjector(options.remedies, self._on_remedies) if options.remedies else None
        self._faults = Faults(options.strict, self._writer.add_coverage)
        self._tree = ModuleTree()
        self._forward = ForwardTaps(self._tree, self._faults, self.settle, self._writer.add_coverage)
        self._line = LineProbing(self._writer, self._tree, self._faults, self.settle, self._say, options.line_probe_channels)
        if options.line_probe_channels:
            self._forward.on_signal = self._line.note_signal
        self._compiled = CompiledModules(self._forward, self._faults, self._begin_forward, self._writer.add_coverage, self._line)
        self._backward = BackwardTaps(
            self._on_backward,
            self._after_backward,
            self._before_backward if self._looks_further else None,
            self._on_failed_backward,
            self._writer.add_coverage,
            self._mute_gradients,
        )
        self._evaluations = EvaluationTaps(self._tree, self._faults, self._last_update, self._note_evaluation)
        self._optimizers = OptimizerTaps(self._before_update, self._after_update, self._on_skipped)
        self._curvature = self._curvature_probes() if options.curvature else None
        self._schedule = Schedule(options.every, options.budget, options.free_seconds)
        self._axes = Axes(self._writer, self._tree)
        self._groups = GroupReader(self._axes)
        self._meter = UpdateMeter()
        self._delivery = Delivery(self._writer, self._axes, self._schedule, self._faults)
        self._step = OpenStep(0, observed=True)
        self._counts_backwards = False
        self._backwards_without_step = 0
        self._manual_update: UpdateMeasurement | None = None
        self._hand_moves = HandMoves()
        self._seconds = self._closing_seconds = 0.0
        self._began = self._step_began = time.perf_counter()
        self._observer_total = 0.0
        self._last_progress = 0.0
        self._over = False
        self._processes = 0

    # -- life ---------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Attach to torch."""
        if self._injector is not None:
            self._injector.attach()
        self.resume()

    def resume(self) -> None:
        """Attach to torch, again after ``pause``."""
        self._tree.attach(self._patches)
        self._compiled.attach(self._patches)
        self._backward.attach(self._patches)
        self._evaluations.attach(self._patches)
        self._optimizers.attach(self._patches)
        if self._curvature is not None:
            self._curvature.attach(self._patches)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            self._patches.replace(owner, "clip_grad_norm_", self._seeing_clipping)
        self._patches.replace(BaseProcess, "start", self._counting_processes)
        self._prepare_step(self._step.number)
        self._line.begin_step()
        self._step_began = time.perf_counter()

    def pause(self) -> None:
        """Detach from torch until ``resume``; nothing of the recorder is left in a step."""
        self.settle()
        self._detach()

    def settle(self) -> None:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        if self._step.stepped:
            self._close_step()

    def flush(self) -> None:
        """Put on disk what is complete."""
        self._delivery.flush()

    def finish(self, ending: Any) -> None:
        """Close the open step and the file. May be called again.

        Args:
            ending: how the run ended, with ``status``, ``detail`` and ``exit_status``.
        """
        if self._over:
            return
        self._detach()
        if self._injector is not None:
            self._injector.detach()
        self.settle()
        self._over = True
        with self._faults.guard("the last, unfinished step"):
            self._close_unfinished_step()
        for name in sorted(self._tree.parts_without_gradient):
            self._writer.add_coverage(name, "it runs without gradient inside forwards that train (torch.no_grad), and is not measured")
        if self._compiled.count:
            text = f"compiled modules were repeated eagerly {self._compiled.count} times to be measured; they round as eager code does"
            self._writer.add_event(self._step.number, "schedule", text)
        for name in () if self._forward.missed_calls else self._axes.never_called():
            why = "its parameters are trained, but it is never called as a module: by .forward(), through its weight, or not at all"
            self._writer.add_coverage(name, why)
        if self._processes and self._step.number == 0:
            why = "the script started processes of its own and did not train in this one; ranks started by torchrun are recorded"
            self._writer.add_coverage("training inside child processes", why, self._processes)
        self._delivery.finish(whole=ending.status in ("finished", "stopped"))
        exit_status = ending.exit_status if ending.exit_status is not None else -1
        self._writer.close(status=ending.status, ending=ending.detail, exit_status=exit_status)

    def abandon(self) -> None:
        """Forget everything without touching the file: this is a forked child."""
        self._over = True
        self._detach()

    @property
    def steps(self) -> int:
        """Number of the open step: how many have been closed."""
        return self._step.number

    def _curvature_probes(self) -> CurvatureProbes:
        return CurvatureProbes(
            every=self._options.curvature or 1,
            kernels=self._options.curvature_kernels,
            muted=self._muted,
            roots=self._tree.roots,
            optimizers=lambda: list(self._optimizers.constructed),
            on_row=self._writer.append_curvature,
            on_gap=self._writer.add_coverage,
            on_event=self._writer.add_event,
        )

    @contextmanager
    def _muted(self) -> Iterator[None]:
        """Measure nothing of what runs now: it is no part of the training."""
        was_muted, self._forward.muted = self._forward.muted, True
        try:
            yield
        finally:
            self._forward.muted = was_muted

    def _mute_gradients(self, change: int) -> None:
        self._forward.gradients_muted += change

    def _detach(self) -> None:
        self._line.detach()
        self._forward.detach()
        self._evaluations.detach()
        self._optimizers.detach()
        self._tree.detach()
        if self._curvature is not None:
            self._curvature.detach()
        self._patches.undo()

    def _on_remedies(self, record: list[dict[str, Any]]) -> None:
        """Remedies have been applied to a model of the script."""
        if self._over:
            return
        self._writer.set_attribute("remedies", json.dumps(record))
        for entry in record[-len(self._options.remedies) :]:
            text = f"remedy {entry['specification']} acts on {entry['count']} {entry['what']}"
            self._writer.add_event(self._step.number, "remedy", text)
            self._say(text)

    def _say(self, text: str) -> None:
        """Tell the user a sentence."""
        if self._on_progress is not None:
            self._on_progress(Progress(self._step.number, math.nan, math.nan, "", math.nan, 0.0, text))

    # -- the clock ----------------------------------------------------------------------------------------------------

    def _begin_forward(self) -> bool:
        """A forward begins that the taps cannot see begin; return whether it is to be measured."""
        self.settle()
        return self._step.observed and not self._over

    def _on_backward(self, loss: torch.Tensor | float | None, scale: torch.Tensor | None, tensors: Any) -> None:
        if self._over:
            return
        if self._evaluations.is_looking:
            self._evaluations.detach()
        if self._optimizers.stepping:
            self._optimizers.settle()
        if self._step.stepped:
            self._close_step()
        step = self._step
        if step.observed:
            with self._faults.guard("what a backward finds"), user_modes_disabled():
                self._look_before_backward(step, tensors)
        step.micro_steps += 1
        if not self._optimizers.is_repeating:
            step.losses += (loss,)
        if scale is not None:
            step.scale = scale

    def _before_backward(self, losses: list[torch.Tensor], is_plain: bool, scale: torch.Tensor | None) -> None:
        """The script goes backward now; its graph is whole."""
        if self._over:
            return
        self._line.before_backward(losses, scale)
        if self._curvature is not None:
            with self._faults.guard("curvature"):
                self._curvature.before_backward(self._step.number, losses, is_plain, scale)

    def _look_before_backward(self, step: OpenStep, tensors: Any) -> None:
        started = time.perf_counter()
        if not (step.micro_steps or self._counts_backwards):
            step.stale = find_stale(self._optimizers.constructed)
        elif step.observed and not step.micro_steps and (moved := self._hand_moves.moved()):
            step.stale = find_stale_of(moved)
        if self._schedule.is_snapshot(step.number):
            step.half_results = (step.half_results or 0) + half_results(tensors)
            if not step.softmax_twice:
                found = applies_softmax_twice(tensors)
                step.softmax_twice = found if found is not None else step.softmax_twice
        self._seconds += time.perf_counter() - started

    def _last_update(self) -> int:
        """The step whose update came last, or that is going on; -1 before the first update."""
        return self._step.number if self._step.number or self._step.stepped else -1

    def _note_evaluation(self, key: TapKey, samples: int, statistics: BatchStatistics) -> None:
        if not self._over:
            self._step.evaluation_gaps = {**self._step.evaluation_gaps, key: statistics}
            self._step.evaluation_samples = samples

    def _on_failed_backward(self) -> None:
        if self._over:
            return
        self._step.micro_steps -= 1
        if not self._optimizers.is_repeating:
            self._step.losses = self._step.losses[:-1]
        self._forward.drop_micro_step()

    def _after_backward(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward has run; ``gradients`` are those of ``torch.autograd.grad``, by id of the parameter."""
        if self._over:
            return
        if self._is_measuring:
            with self._faults.guard("the end of a backward"):
                self._compiled.end_micro_step()
                self._forward.end_micro_step()
        if gradients is not None:
            self._step.returned_gradients = gradients
        self._backwards_without_step += 1
        unused = self._backwards_without_step > UNUSED_OPTIMIZER_BACKWARDS
        if self._step.stepped:  # optimizers stepped inside the backward, one parameter at a time
            self._check_limit()
        elif not self._optimizers.constructed or unused:
            if not self._counts_backwards:
                self._counts_backwards = True
                why = "its optimizer never stepped" if unused else "the script has no optimizer object"
                self._writer.add_event(self._step.number, "clock", f"{why}: a step is one backward call")
            self._end_manual_step()

    def _before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""
        if self._over:
            return
        started = time.perf_counter()
        if self._step.stepped and optimizer in self._step.stepped and torch._C._current_graph_task_id() == -1:
            self.settle()
        step = self._step
        if self._counts_backwards:
            self._counts_backwards = False
            self._hand_moves.forget()
        self._backwards_without_step = 0
        try:
            groups = self._groups.read(optimizer)
            step.groups = {**step.groups, **groups} if step.groups else groups
            if step.observed:
                with user_modes_disabled():
                    step.updates += (self._meter.before(trained_parameters(optimizer.param_groups)),)
            elif self._schedule.watches_gradients():
                self._watch_gradients(optimizer)
            scale, refused = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
            step.fused_scale = None
            if scale is not None or refused is not None:
                self._note_scaling(step, scale, refused)
        except Exception as error:
            self._faults.report(f"optimizer {type(optimizer).__name__}", error)
        self._seconds += time.perf_counter() - started
        if self._looks_further:
            self._line.before_update(optimizer)

    def _note_scaling(self, step: OpenStep, scale: object, refused: object) -> None:
        """A gradient scaler leaves unscaling, and skipping, to the optimizer's own kernel."""
        with user_modes_disabled():
            if isinstance(scale, torch.Tensor):
                step.fused_scale = at_hand(scale)
            if isinstance(refused, torch.Tensor):
                step.skipped = at_hand(refused)

    def _after_update(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights."""
        if self._over:
            return
        updates = self._step.updates
        if updates and updates[-1].update is None:
            started = time.perf_counter()
            with self._faults.guard(f"updates of {type(optimizer).__name__}"), user_modes_disabled():
                self._measure_weights_after(updates[-1], self._step.number)
            self._seconds += time.perf_counter() - started
        if self._looks_further:
            self._line.after_update(optimizer, self._step.number)
        self._end_step(optimizer)

    def _watch_gradients(self, optimizer: Optimizer) -> None:
        """Look at the gradient norm of a step that is not measured, where that waits for no accelerator."""
        started, stride = time.perf_counter(), self._schedule.watch_stride
        with user_modes_disabled():
            parameters = trained_parameters(optimizer.param_groups)
            gradients = [gradient for parameter in parameters if (gradient := parameter.grad) is not None]
            norm = total_norm(gradients) if all(gradient.is_cpu for gradient in gradients) else None
        if self._schedule.note_gradient(norm, time.perf_counter() - started):
            text = f"the gradient rises (norm {norm:.3g}): every step is measured for a while"
            self._writer.add_event(self._step.number, "schedule", text)
        if self._schedule.watch_stride != stride:
            self._writer.set_attribute("gradient_watch_stride", self._schedule.watch_stride)

    def _measure_weights_after(self, update: UpdateMeasurement, step: int) -> None:
        is_snapshot = self._schedule.is_snapshot(step)
        self._meter.after(update, self._tree.convolution_kernels() if is_snapshot else set(), rows=is_snapshot)

    def _on_skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler found non-finite gradients and did not call the optimizer."""
        if self._over:
            return
        with self._faults.guard(f"optimizer {type(optimizer).__name__}"):
            self._step.groups = {**self._step.groups, **self._groups.read(optimizer)}
        self._step.skipped = True
        self._line.no_update(self._step.number, type(optimizer).__name__, "a gradient scaler skipped the update")
        self._end_step(optimizer)

    def _end_manual_step(self) -> None:
        """A backward ended a step of a program that updates its weights by hand."""
        step = self._step
        self._hand_moves.look_again()
        if step.observed:
            with self._faults.guard("weights that are updated by hand"), user_modes_disabled():
                parameters = [parameter for root in self._tree.trained_roots() for parameter in root.parameters()]
                self._axes.introduce_parameters(parameters, -1, "the hand-written update")
                self._manual_update = self._meter.before(parameters, step.returned_gradients)
                step.updates += (self._manual_update,)
                self._hand_moves.look(parameters)
        self._line.no_update(step.number, "", "the script moves its weights without an optimizer")
        self._end_step(self)

    def _end_step(self, stepper: object) -> None:
        """An update has happened; the step is closed when the next one begins."""
        step = self._step
        step.stepped += (stepper,)
        now = time.perf_counter()
        step.seconds += now - self._step_began
        step.wall_time = now - self._began
        self._step_began = now
        self._prepare_step(step.number + 1)
        if self._has_limits and torch._C._current_graph_task_id() == -1:
            self._check_limit()

    def _check_limit(self) -> None:
        if self._options.max_steps is not None and self._step.number + 1 >= self._options.max_steps:
            self.settle()
            raise StopTraining(f"--max-steps {self._options.max_steps}")
        if self._options.stop_when_lost and self._delivery.is_lost:
            self.settle()
            raise StopTraining("the loss is lost")

    def _prepare_step(self, number: int) -> None:
        """Attach or detach the forward taps for the step that comes next."""
        is_probed = self._looks_further and self._schedule.is_probed(number, self._options.line_probe)
        self._step.evaluations_seen = is_probed or self._schedule.is_observed(number)
        if self._step.evaluations_seen:
            self._is_measuring = True
            self._forward.attach()
        elif self._forward.attached:
            self._forward.detach()
        if self._looks_further:
            self._prepare_probes(number, is_probed)

    def _prepare_probes(self, number: int, is_probed: bool) -> None:
        if self._curvature is not None:
            with self._faults.guard("kernels for the curvature"):
                self._curvature.prepare(number)
        self._line.prepare(is_probed)

    def _close_step(self) -> None:
        started = time.perf_counter()
        step = self._step
        # Its forward may have begun: the taps stay as they are, whatever the closing step tells the schedule.
        self._step = OpenStep(step.number + 1, observed=self._forward.attached)
        try:
            taps: Sequence[Tap] = ()
            if self._is_measuring:
                with user_modes_disabled():
                    taps = self._end_measuring(step)
            self._backward.end_step()
            # What closing costs is counted with the next step: this step's row is about to leave.
            step.observer_seconds = self._seconds + self._evaluations.seconds + step.observer_seconds
            self._evaluations.seconds = 0.0
            self._observer_total += step.observer_seconds
            self._delivery.take(step, taps)
            if self._looks_further:
                self._line.deliver(self._axes)
            self._adapt(step)
            if self._on_progress is not None:
                self._show(self._on_progress)
        except Exception as error:
            self._faults.report("the end of a step", error)
        self._seconds = time.perf_counter() - started
        self._closing_seconds = self._seconds if step.observed else 0.0

    def _end_measuring(self, step: OpenStep) -> Sequence[Tap]:
        """Bring in what was measured in a step, or asked for beyond; a step under a budget has nothing of it."""
        if self._manual_update is not None:
            self._measure_weights_after(self._manual_update, step.number)
            self._manual_update = None
        taps, step.batch_size, step.evaluations = self._forward.take()
        step.modes = self._forward.take_modes(taps, self._axes.trains)
        if step.observed and self._schedule.is_snapshot(step.number) and self._optimizers.constructed and not self._counts_backwards:
            modules = [module for tap in taps if not tap.is_gradient and (module := tap.key.module()) is not None]
            step.untrained = find_untrained(modules, self._optimizers.constructed)
        self._compiled.forget()
        self._line.begin_step()
        step.probe_seconds = self._line.seconds
        if self._curvature is not None:
            step.probe_seconds += self._curvature.seconds
            self._curvature.end_step(step.stepped)
        step.observer_seconds = self._forward.seconds + self._compiled.seconds + step.probe_seconds
        self._forward.seconds = self._compiled.seconds = self._line.seconds = 0.0
        self._is_measuring = self._looks_further or self._forward.attached or self._forward.holds_signals
        return taps

    def _adapt(self, step: OpenStep) -> None:
        probe = step.probe_seconds
        if self._schedule.account(step.seconds - probe, step.observer_seconds - probe, step.observed, self._closing_seconds):
            text = f"layers are measured every {self._schedule.stride} steps to stay within the budget"
            self._writer.add_event(step.number + 1, "schedule", text)

    def _close_unfinished_step(self) -> None:
        """A script that checks its loss and leaves has run the forward that went wrong: it is kept as a row without an update."""
        if self._curvature is not None:
            self._curvature.end_step(())
        taps = self._forward.take_unfinished()
        if any(_holds_nonfinite(tap) for tap in taps):
            self._delivery.take(self._step, taps)
            self._delivery.note_divergence(self._step.number, "a signal is not finite, and the script made no update of it")

    def _show(self, on_progress: Callable[[Progress], None]) -> None:
        now, last = time.perf_counter(), self._delivery.last_step
        if last is None or now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        rates: list[Any] = [settings.rate for _, settings in sorted(last.groups.items())]
        loss = math.nan if last.loss is None else last.loss
        overhead = self._observer_total / max(now - self._began - self._observer_total, 1e-9)
        worst, value = self._delivery.worst_layer()
        on_progress(Progress(last.number, loss, rates[0] if rates else math.nan, worst, value, overhead, ""))

    def _counting_processes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def start(process: BaseProcess) -> Any:
            self._processes += 1
            return original(process)

        return start

    def _seeing_clipping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip_grad_norm_(*args: Any, **kwargs: Any) -> Any:
            total = original(*args, **kwargs)
            if isinstance(total, torch.Tensor) and not self._over:
                with user_modes_disabled():
                    self._step.clip_norm = at_hand(total)
            return total

        return clip_grad_norm_


def _holds_nonfinite(tap: Tap) -> bool:
    packed = tap.moments.packed
    return bool(packed[-SUMMARY + 3] > 0)


def _environment() -> dict[str, str]:
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {
        "bnprobe_version": __version__,
        "torch_version": torch.__version__,
        "device": device,
        "threads": str(torch.get_num_threads()),
        "rank": os.environ.get("RANK", "0"),
        "world_size": os.environ.get("WORLD_SIZE", "1"),
    }
