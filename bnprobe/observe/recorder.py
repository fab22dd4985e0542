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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from bnprobe import __version__
from bnprobe.observe.axes import Axes
from bnprobe.observe.backward import BackwardTaps
from bnprobe.observe.compiled import CompiledModules
from bnprobe.observe.faults import Faults
from bnprobe.observe.flight import FlightRecorder
from bnprobe.observe.forward import ForwardTaps
from bnprobe.observe.modules import ModuleCensus
from bnprobe.observe.optimizers import Optimizer, OptimizerTaps, group_settings
from bnprobe.observe.options import Progress, RecordOptions, StopTraining
from bnprobe.observe.parameters import UpdateMeasurement, UpdateMeter, trained_parameters
from bnprobe.observe.patches import Patches
from bnprobe.observe.schedule import Schedule
from bnprobe.observe.step import ClosedStep, OpenStep
from bnprobe.observe.surgery import Surgery
from bnprobe.store.writer import RunWriter

#: A loss this many times the first one is a divergence even while it is finite.
DIVERGENCE_RATIO = 1e3
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
        self._on_progress = on_progress
        self._writer = RunWriter(path, {**provenance, **_environment(), "pid": os.getpid()}, overwrite=True)
        self._patches = Patches()
        self._surgery = Surgery(options.remedies, self._on_remedies) if options.remedies else None
        self._faults = Faults(options.strict, self._writer.add_coverage)
        self._census = ModuleCensus()
        self._forward = ForwardTaps(self._census, self._faults, self._on_forward, self._writer.add_coverage)
        self._compiled = CompiledModules(self._forward, self._faults, self._begin_forward, self._writer.add_coverage)
        self._backward = BackwardTaps(self._on_backward, self._after_backward)
        self._optimizers = OptimizerTaps(self._before_update, self._after_update, self._on_skipped)
        self._schedule = Schedule(options.every, options.budget)
        self._axes = Axes(self._writer, self._census)
        self._meter = UpdateMeter()
        self._flight = FlightRecorder()
        self._travelling: ClosedStep | None = None
        self._step = OpenStep(0, observed=True)
        self._counts_backwards = False
        self._backwards_without_step = 0
        self._manual_update: UpdateMeasurement | None = None
        self._seconds = 0.0
        self._began = self._step_began = time.perf_counter()
        self._observer_total = 0.0
        self._last_progress = 0.0
        self._first_loss = math.nan
        self._first_rms: Any = None
        self._diverged = False
        self._over = False

    # -- life ---------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Attach to torch."""
        if self._surgery is not None:
            self._surgery.attach()
        self.resume()

    def resume(self) -> None:
        """Attach to torch, again after ``pause``."""
        self._census.attach()
        self._compiled.attach(self._patches)
        self._backward.attach(self._patches)
        self._optimizers.attach(self._patches)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            self._patches.replace(owner, "clip_grad_norm_", self._seeing_clipping)
        self._prepare_step(self._step.number)
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
        self._deliver()
        self._writer.burst()

    def finish(self, ending: Any) -> None:
        """Close the open step and the file. May be called again.

        Args:
            ending: how the run ended, with ``status``, ``detail`` and ``exit_status``.
        """
        if self._over:
            return
        self._over = True
        self._detach()
        if self._surgery is not None:
            self._surgery.detach()
        self.settle()
        self._deliver()
        if ending.status == "crashed":
            self._dump_flight()
        if self._compiled.count:
            text = f"compiled modules were repeated eagerly {self._compiled.count} times to be measured; the figures are rounded as eager code rounds"
            self._writer.add_event(self._step.number, "schedule", text)
        self._writer.close(
            status=ending.status, ending=ending.detail, exit_status=ending.exit_status if ending.exit_status is not None else -1
        )

    def abandon(self) -> None:
        """Forget everything without touching the file: this is a forked child."""
        self._over = True
        self._detach()

    @property
    def steps(self) -> int:
        """Number of the open step: how many have been closed."""
        return self._step.number

    def _detach(self) -> None:
        self._forward.detach()
        self._optimizers.detach()
        self._census.detach()
        self._patches.undo()

    def _on_remedies(self, record: list[dict[str, Any]]) -> None:
        """Remedies have been applied to a model of the script."""
        if self._over:
            return
        self._writer.set_attribute("remedies", json.dumps(record))
        for entry in record[-len(self._options.remedies) :]:
            text = f"remedy {entry['specification']} acts on {entry['count']} {entry['what']}"
            self._writer.add_event(self._step.number, "remedy", text)
            if self._on_progress is not None:
                self._on_progress(Progress(self._step.number, math.nan, math.nan, "", math.nan, 0.0, text))

    # -- the clock ----------------------------------------------------------------------------------------------------

    def _on_forward(self) -> None:
        self.settle()

    def _begin_forward(self) -> bool:
        """A forward begins that the taps cannot see begin; return whether it is to be measured."""
        self.settle()
        return self._step.observed and not self._over

    def _on_backward(self, loss: torch.Tensor | None, scale: torch.Tensor | None) -> None:
        if self._over:
            return
        self.settle()
        step = self._step
        step.micro_steps += 1
        if loss is not None:
            step.losses.append(loss)
        if scale is not None:
            step.scale = scale

    def _after_backward(self) -> None:
        if self._over:
            return
        self._compiled.end_micro_step()
        self._forward.end_micro_step()
        self._backwards_without_step += 1
        unused = self._backwards_without_step > UNUSED_OPTIMIZER_BACKWARDS
        if not self._optimizers.constructed or unused:
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
        if id(optimizer) in self._step.stepped and torch._C._current_graph_task_id() == -1:
            self._close_step()
        step = self._step
        self._counts_backwards = False
        self._backwards_without_step = 0
        try:
            places = self._axes.introduce(optimizer)
            for place, group in zip(places, optimizer.param_groups, strict=True):
                step.groups[place] = group_settings(group)
            if step.observed:
                step.updates.append(self._meter.before(trained_parameters(optimizer.param_groups)))
            fused = getattr(optimizer, "grad_scale", None)
            if isinstance(fused, torch.Tensor):
                step.fused_scale = fused.detach().clone()
            refused = getattr(optimizer, "found_inf", None)
            if isinstance(refused, torch.Tensor):
                step.skipped = refused.detach().clone()
        except Exception as error:
            self._faults.report(f"optimizer {type(optimizer).__name__}", error)
        self._seconds += time.perf_counter() - started

    def _after_update(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights."""
        if self._over:
            return
        started = time.perf_counter()
        step = self._step
        try:
            if step.updates and step.updates[-1].update is None:
                self._meter.after(step.updates[-1])
        except Exception as error:
            self._faults.report(f"updates of {type(optimizer).__name__}", error)
        self._seconds += time.perf_counter() - started
        self._end_step(optimizer)

    def _on_skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler found non-finite gradients and did not call the optimizer."""
        if self._over:
            return
        for place, group in zip(self._axes.introduce(optimizer), optimizer.param_groups, strict=True):
            self._step.groups[place] = group_settings(group)
        self._step.skipped = True
        self._end_step(optimizer)

    def _end_manual_step(self) -> None:
        """A backward ended a step of a program that updates its weights by hand."""
        self._step.stepped.add(0)
        if self._step.observed:
            parameters = [parameter for root in self._census.roots() for parameter in root.parameters()]
            self._axes.introduce_parameters(parameters, -1)
            self._manual_update = self._meter.before(parameters)
            self._step.updates.append(self._manual_update)
        self._finish_clock()

    def _end_step(self, optimizer: Optimizer) -> None:
        self._step.stepped.add(id(optimizer))
        self._finish_clock()

    def _finish_clock(self) -> None:
        """The step's work is done; it is closed when the next one begins."""
        step = self._step
        now = time.perf_counter()
        step.seconds = now - self._step_began
        step.wall_time = now - self._began
        self._prepare_step(step.number + 1)
        if self._options.max_steps is not None and step.number + 1 >= self._options.max_steps:
            self._close_step()
            raise StopTraining(f"--max-steps {self._options.max_steps}")

    def _prepare_step(self, number: int) -> None:
        """Attach or detach the forward taps for the step that comes next."""
        if self._schedule.is_observed(number):
            self._forward.attach()
        else:
            self._forward.detach()

    def _close_step(self) -> None:
        started = time.perf_counter()
        step = self._step
        if self._manual_update is not None:
            self._meter.after(self._manual_update)
            self._manual_update = None
        step.batch_size = self._forward.batch_size
        step.evaluations, self._forward.evaluations = self._forward.evaluations, 0
        # What closing costs is counted with the next step: this step's row is about to leave.
        own = self._seconds + self._forward.seconds + self._compiled.seconds
        self._seconds = self._forward.seconds = self._compiled.seconds = 0.0
        step.observer_seconds = own
        self._observer_total += own
        closed = ClosedStep(step, self._forward.take())
        self._compiled.forget()
        self._deliver()
        self._travelling = closed
        if not closed.is_asynchronous:
            self._deliver()
        if self._schedule.account(step.seconds, own, step.observed):
            stride = self._schedule.stride
            self._writer.add_event(step.number + 1, "schedule", f"layers are measured every {stride} steps to stay within the budget")
        self._step_began = time.perf_counter()
        self._seconds = self._step_began - started
        self._step = OpenStep(step.number + 1, observed=self._schedule.is_observed(step.number + 1))
        if self._step.observed:
            self._forward.attach()
        else:
            self._forward.detach()

    # -- delivery -----------------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Hand the closed step to the writer; its numbers have arrived, or are waited for."""
        if self._travelling is None:
            return
        closed, self._travelling = self._travelling, None
        try:
            row, channels = closed.row(self._axes)
        except Exception as error:
            self._faults.report(f"step {closed.step.number}", error)
            return
        loss = row["loss"] if row["loss"] is not None else math.nan
        self._judge(row, loss)
        self._writer.append_step(row)
        if channels is not None and self._flight.keep(channels, write=self._schedule.is_snapshot(closed.step.number)):
            self._writer.append_snapshot(channels.columns(self._axes))
        self._writer.burst_if_due()
        self._show(row, loss)

    def _judge(self, row: dict[str, Any], loss: float) -> None:
        """See whether the training leaves its course; the full diagnosis is made from the file."""
        if self._schedule.note_loss(loss):
            self._writer.add_event(row["step"], "schedule", "the loss rises: every step is measured for a while")
        if math.isnan(self._first_loss):
            self._first_loss = loss
        gone = math.isinf(loss) or (math.isnan(loss) and row["micro_steps"] > 0 and row["loss"] is not None)
        far = abs(loss) > DIVERGENCE_RATIO * abs(self._first_loss)
        if (gone or far) and not self._diverged:
            self._diverged = True
            text = f"the loss is {loss}" if gone else f"the loss is {loss:.3g}, {loss / self._first_loss:.3g} times the first"
            self._writer.add_event(row["step"], "divergence", text)
            self._dump_flight()

    def _dump_flight(self) -> None:
        for row in self._flight.dump():
            self._writer.append_snapshot(row.columns(self._axes))

    def _show(self, row: dict[str, Any], loss: float) -> None:
        now = time.perf_counter()
        if self._on_progress is None or now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        worst, value = self._worst_layer(row)
        rates = row["learning_rate"]
        rate = float(rates[0]) if len(rates) else math.nan
        overhead = self._observer_total / max(now - self._began - self._observer_total, 1e-9)
        self._on_progress(Progress(row["step"], loss, rate, worst, value, overhead, ""))

    def _worst_layer(self, row: dict[str, Any]) -> tuple[str, float]:
        rms = row.get("activation_rms")
        if rms is None or not len(rms):
            return "", math.nan
        if self._first_rms is None or len(self._first_rms) < len(rms):
            self._first_rms = rms
        worst, value = "", 0.0
        for index, (first, last) in enumerate(zip(self._first_rms, rms, strict=False)):
            change = math.log10(last / first) if first > 0 and last > 0 and math.isfinite(first) else 0.0
            if abs(change) > abs(value):
                worst, value = self._axes.layer_names[index], change
        return worst, value

    def _seeing_clipping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip_grad_norm_(*args: Any, **kwargs: Any) -> Any:
            total = original(*args, **kwargs)
            if isinstance(total, torch.Tensor) and not self._over:
                self._step.clip_norm = total.detach().clone()
            return total

        return clip_grad_norm_


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
