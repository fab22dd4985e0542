"""Steps that pass by: as the one before, and with nothing to measure, they are noted by compiled code and taken down some at a time.

At such a step all that is known afterwards is when it ended, its loss and the rows of that, and that nothing was otherwise. ``passing.c``
checks the latter and notes the former, in a few microseconds; here the steps are then made, by the functions that make every other one.
Nothing that has to be acted on at once passes by: a loss that could be news, another learning rate or mode, a step that is to be measured.

It is built when bnprobe is installed, for that version of Python. Without it, or with BNPROBE_PASSING=0, every step is made as it happens.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd import forward_ad

from bnprobe.identity import OwnReference
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.attaching.patches import Compilation
from bnprobe.observe.companion import Companions
from bnprobe.observe.faults import is_the_scripts
from bnprobe.observe.instruments.evaluations import EvaluationTaps
from bnprobe.observe.instruments.gradient_scaling import GradientScaling
from bnprobe.observe.instruments.gradient_watch import GradientWatch
from bnprobe.observe.instruments.instrument import Stopwatch
from bnprobe.observe.instruments.loss_rows import LossRows
from bnprobe.observe.instruments.nonfinite_trace import NonfiniteTrace
from bnprobe.observe.instruments.parameter_groups import ParameterGroups
from bnprobe.observe.instruments.stale_gradients import StaleGradients
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recording.attached import Attached
from bnprobe.observe.recording.output import Output
from bnprobe.observe.recording.step_keeper import StepKeeper
from bnprobe.observe.steps.modes import Modes
from bnprobe.observe.steps.open_step import GroupSettings, OpenStep
from bnprobe.observe.steps.step_clock import StepClock
from bnprobe.originals import Original
from bnprobe.torch_private import (
    dispatch_depth,
    function_mode_depth,
    graph_task_id,
    is_profiled,
    step_hooks,
    tracing_state,
    transform_level,
)

#: Of passing.c, which an earlier installation may have compiled.
INTERFACE = 3
#: Steps that pass by before they are made, and the seconds that they may take.
MOST, MOST_SECONDS = 32, 0.1
#: Fewer are not worth it, and after so many a training is left alone that had no more, several times as long each time.
FEWEST, LONGEST_REST = 3, 256
#: What the open step is at, in passing.c.
CLOSED, WAITS, BACKWARD, READY, UPDATE = range(5)


#: Instruments that look at every step, and what they find at one that passes by is known.
_KNOWN = {EvaluationTaps, ParameterGroups, GradientScaling, GradientWatch, NonfiniteTrace, LossRows, StaleGradients}


class _Step(NamedTuple):
    """What is noted of a step."""

    loss: float
    rows: int
    ended: float
    seconds: float
    looked: float
    gradient: float
    norm: Any
    limit: Any
    settings: Any


class Passing:
    """Lets steps pass by.

    Args:
        options: what was asked for.
        output: the run file, and what belongs to it.
        attached: what looks at a step.
        keeper: makes steps.
        clock: what a step is.
        companions: what goes along; none of them may ask for every step.
        watch: the time of the instruments.
        compiled: the module of passing.c.

    Attributes:
        made: steps that have passed by, and been made since.
    """

    def __init__(
        self,
        options: RecordOptions,
        output: Output,
        attached: Attached,
        keeper: StepKeeper,
        clock: StepClock,
        companions: Companions,
        watch: Stopwatch,
        compiled: Any,
    ) -> None:
        self.made = 0
        self._output = output
        self._attached = attached
        self._keeper = keeper
        self._clock = clock
        self._watch = watch
        self._most_steps = options.max_steps
        self._groups = next(one for one in attached.panel.instruments if isinstance(one, ParameterGroups))
        self._gradients = next(one for one in attached.panel.instruments if isinstance(one, GradientWatch))
        every = {type(one) for one in attached.panel.instruments if one.every_step}
        self._may = every <= _KNOWN and not (options.stop_when_diverged or attached.probes.is_wanted or companions.follow_steps)
        self._optimizer: weakref.ref[Optimizer] | None = None
        self._number = -1
        self._modes: Modes | None = None
        self._settings: dict[int, GroupSettings] = {}
        self._rest = self._rested = 0
        self._is_taking = False
        self._taken: list[tuple[list[tuple[Any, ...]], int, tuple[Any, ...]]] = []  # what is still to be made, and the step it comes after
        self._number_before = -1
        before, after = step_hooks()
        self._hooks = before, after
        passer = compiled.Passer(
            tensor=Tensor,
            mode_depth=function_mode_depth,
            dispatch_depth=dispatch_depth,
            is_profiled=is_profiled,
            level=transform_level,
            tracing=tracing_state,
            graph_task=graph_task_id,
            forward_mode=forward_ad,
            scaling=attached.backward,
            evaluations=attached.panel.evaluations,
            others=output.gate.thread._others,
            before_hooks=before,
            after_hooks=after,
            reread=self._reread,
            look=self._look,
            clock=Original.perf_counter,
            is_the_scripts=is_the_scripts,
        )
        self._passer = passer
        #: Each says whether it was noted; the usual way is to be taken otherwise.
        self.backward, self.backward_ended, self.clip = passer.backward, passer.backward_ended, passer.clip
        self.update_begins, self.update_ended = passer.update_begins, passer.update_ended

    def begin(self, optimizer: Optimizer) -> None:
        """A step has had its update, by this optimizer alone, and the next has not begun: those that follow may pass by."""
        keeper, schedule, gate = self._keeper, self._output.schedule, self._output.gate
        step = keeper.step
        if not self._may or keeper.is_measuring or step.observed or Compilation.in_use or self._attached.panel.evaluations.has_readings:
            return
        if self._rested < self._rest:
            self._rested += 1
            return
        is_usual = len(step.losses) == 1 and self._clock.moved_by == (self._attached.optimizers.number_of(optimizer),)
        if not is_usual or step.scale is not None or step.fused_scale is not None or step.repeated_backwards or not gate.thread.is_alone:
            return
        known = self._groups.known(optimizer)
        if known is None or known[1] is not step.groups or self._attached.optimizers.is_beside_others():
            return
        limit = schedule.promise(step.number + 1, MOST)
        if self._most_steps is not None:
            limit = min(limit, self._most_steps + schedule.first - step.number - 2)
        low, high = schedule.losses_without_news(MOST) if limit >= FEWEST else (0.0, 0.0)
        if (loss := step.loss_at_hand) is None or not low < loss <= high:
            schedule.keep_promise()
            return
        if self._optimizer is None or self._optimizer() is not optimizer:
            self._optimizer, self._number = OwnReference(optimizer), self._attached.optimizers.number_of(optimizer)
        self._modes, self._settings = step.modes, dict(known[1])
        until, modules = Original.perf_counter() + MOST_SECONDS, self._attached.forward.modes_of_modules()
        hooks = map(len, self._hooks)
        thread = gate.thread.owner_number
        self._passer.begin(
            limit, schedule.steps_to_look, low, high, until, thread, *hooks, self._optimizer, list(known[0]), known[1], modules
        )

    def end_here(self) -> None:
        """The same, if it is the recorded thread that asks."""
        if self._passer.state and threading.get_ident() == self._output.gate.thread.owner_number:
            with self._output.gate.thread.lock:
                self.end()

    def end(self) -> None:
        """Make the steps that have passed by; the open one goes on in the usual way."""
        if self._is_taking or not (self._passer.state or self._taken):
            return
        self._is_taking = True
        try:
            with self._watch:
                try:
                    self._make_all()
                except BaseException:
                    self._make_all()  # the script's own handler may have raised anywhere: what is left is made all the same
                    raise
                finally:
                    self._output.schedule.keep_promise()
        except Exception as error:
            self._output.faults.report("steps that are as the one before", error)
        finally:
            self._is_taking = False

    def drop(self) -> None:
        """Forget what has passed by: this is a forked child."""
        self._passer.take([])
        self._taken.clear()

    def _make_all(self) -> None:
        """Make what has passed by; called again after it was interrupted, what was not made by then."""
        if self._passer.state:
            self._number_before = self._clock.number
            self._passer.take(self._taken)
        while self._taken:
            steps, state, opened = self._taken[0]
            if steps and self._clock.number == self._number_before:
                self._make(list(map(_Step._make, steps)))
            self._rest = 0 if len(steps) >= FEWEST else min(2 * self._rest + 1, LONGEST_REST)
            self._rested = 0
            self.made += len(steps)
            del self._taken[0]
            if state > WAITS:
                self._go_on(_Step(*opened), state)

    def _make(self, noted: list[_Step]) -> None:
        """Make steps that are whole."""
        seconds = self._watch.take() / len(noted)  # what making the ones before them has cost
        steps = []
        for number, one in enumerate(noted, self._clock.number + 1):
            step = OpenStep(number, observed=False)
            self._fill(step, one)
            step.micro_steps, step.groups = 1, one.settings
            step.observer_seconds = one.seconds + seconds
            steps.append(step)
        self._keeper.pass_by(steps, [one.ended for one in noted], [one.seconds - one.looked for one in noted], self._number)
        optimizer = self._optimizer() if self._optimizer is not None else None
        if optimizer is not None:
            self._output.unseen.note_update(optimizer, self._output.axes, was_observed=False, count=len(noted))

    def _go_on(self, noted: _Step, state: int) -> None:
        """Do what would have been done so far at the events of a step that goes on in the usual way."""
        keeper, clock = self._keeper, self._clock
        keeper.follow(clock.backward_began())
        step = keeper.step
        self._fill(step, noted)
        step.micro_steps = clock.micro_steps
        step.observer_seconds += noted.seconds
        if state == BACKWARD:
            return
        keeper.follow(clock.backward_ended(has_optimizer=True))
        if state == READY:
            return
        keeper.follow(clock.update_began(self._number))
        step.groups = noted.settings
        self._output.schedule.watches_gradients()
        optimizer = self._optimizer() if self._optimizer is not None else None
        if optimizer is not None:
            self._attached.optimizers.begin_late(optimizer)

    def _fill(self, step: OpenStep, noted: _Step) -> None:
        step.losses, step.loss_rows, step.modes = (noted.loss,), noted.rows, self._modes
        if noted.gradient >= 0.0:
            step.gradient_norm = noted.gradient
        if noted.norm is not None:
            step.clip_norm, step.clip_limit = noted.norm, noted.limit

    def _look(self, optimizer: Optimizer, passed: int) -> Any:
        """Look at the gradients of a step before which so many have passed; return their norm, unless it could be news."""
        schedule = self._output.schedule
        norm = self._gradients.look_in_passing(optimizer, passed)
        return None if norm is None else (norm, schedule.watch_stride)

    def _reread(self, optimizer: Optimizer) -> Any:
        """The settings of an optimizer's groups are not the same objects: return them, unless they are news."""
        settings = self._groups.read(optimizer)
        known = self._groups.known(optimizer)
        if known is None or known[1] is not settings or self._output.schedule.is_news(self._settings, settings):
            return None
        self._settings = dict(settings)
        return list(known[0]), settings


def passing(
    options: RecordOptions,
    output: Output,
    attached: Attached,
    keeper: StepKeeper,
    clock: StepClock,
    companions: Companions,
    watch: Stopwatch,
) -> Passing | None:
    """Return what lets steps pass by, where this installation has it."""
    compiled = _compiled()
    return Passing(options, output, attached, keeper, clock, companions, watch, compiled) if compiled is not None else None


@cache
def _compiled() -> Any:
    if os.environ.get("BNPROBE_PASSING", "1") == "0":
        return None
    try:
        from bnprobe.observe.recording import _passing  # type: ignore[attr-defined]
    except ImportError:
        return None
    return _passing if _passing.INTERFACE == INTERFACE else None
