"""What a recording asks of its what-if: to watch the first steps, and to answer when the training is over."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.faults import Faults
from bnprobe.observe.optimizers import Optimizer
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.patches import Patches
from bnprobe.remedies.catalogue import ENTRIES
from bnprobe.store.reader import read_run
from bnprobe.store.writer import RunWriter
from bnprobe.what_if.activations import Layers
from bnprobe.what_if.answers import Answers, answer, answer_from_here
from bnprobe.what_if.interruption import Interrupted, interruptible
from bnprobe.what_if.judging import Judge, Trial
from bnprobe.what_if.program import Program
from bnprobe.what_if.remedy_edits import NONE, Built, RemedyEdits
from bnprobe.what_if.stretch import Stretch

#: What is tried, in order.
REMEDIES = (
    NONE,
    "msr",
    "batch-norm",
    "clip-norm",
    "agc",
    "gradient-centralisation",
    "weight-norm",
    "weight-standardisation",
    "no-norm",
    "dropout",
)
assert set(REMEDIES[1:]) <= {entry.name for entry in ENTRIES}

#: Steps before a divergence from which something can be changed; where there are fewer, the stretch before is taken.
FEWEST_BEFORE = 5
#: An attribute of the run file holds 64 KiB.
_LONGEST_REASON = 300


class WhatIf:
    """The what-if of one recording.

    Args:
        options: how many steps are put on the tape, and how much memory may be kept for it.
        writer: where the answers go.
        step_number: tells the open step.
        settle: closes the step whose update has happened.
        optimizers: those of the recorded training.
        faults: where a fault goes.
        say: told what is going on.
        has_diverged: whether the training has.
    """

    def __init__(
        self,
        options: RecordOptions,
        writer: RunWriter,
        step_number: Callable[[], int],
        settle: Callable[[], None],
        optimizers: Callable[[], list[Optimizer]],
        faults: Faults,
        say: Callable[[str], None],
        has_diverged: Callable[[], bool],
    ) -> None:
        watched = has_diverged if options.what_if_from_here else None
        self.stretch = Stretch(options.what_if or 0, options.what_if_memory, step_number, settle, optimizers, faults, watched)
        self._remedies = options.what_if_remedies or REMEDIES
        self._has_diverged = has_diverged
        self._writer = writer
        self._say = say

    def attach(self, patches: Patches) -> None:
        """Wait for the first forward."""
        self.stretch.attach(patches)

    def answer(self, ending: Any) -> None:
        """The training is over, and nothing of the recorder is attached any more: train it again."""
        if ending.status == "interrupted":
            self.stretch.refuse("the recording was interrupted")
        late: tuple[Program, list[Built]] | None = None
        if self.stretch.complete:
            program, built = self.stretch.complete[0]
            late = self._last_healthy()
        else:
            taken = self.stretch.take()
            if taken is None:
                self._store(Answers(refused=[("all", self.stretch.refusal)]))
                return
            program, built = taken, self.stretch.built
        self._writer.burst()
        try:
            with interruptible():
                self._say(f"what if: {program.steps} steps are trained again from their tape; Ctrl-C keeps what has been answered")
                found = self._answers(program, built, late)
        except Interrupted as signal:
            found = Answers(refused=[("all", f"ended by {signal} before it was answered")])
        self._store(found)

    def _answers(self, program: Program, built: list[Built], late: tuple[Program, list[Built]] | None) -> Answers:
        """Train the stretch again, and the one before a divergence where it is kept."""
        run = read_run(self._writer.path)
        judge = Judge(run, program.first_step, program.steps)
        edits = RemedyEdits(built, program)
        threads = torch.get_num_threads()
        began = time.process_time()
        layers = Layers(program, built)
        found = answer(program, judge, edits, layers, self._remedies, self._say)
        if not found.proved and self.stretch.customs:
            names = ", ".join(self.stretch.customs)
            found.refused.append(("proof", f"the loss goes through autograd functions whose backward is not on the tape: {names}"))
        if late is not None and not found.ended_by:
            self._say(f"what if: {late[0].steps} steps from step {late[0].first_step} on are trained again")
            kept = answer_from_here(late[0], RemedyEdits(late[1], late[0]), self._remedies)
            found.trials += kept.trials
            found.refused += [(f"from step {late[0].first_step}: {what}", why) for what, why in kept.refused]
            found.rerun_steps += kept.rerun_steps
        assert torch.get_num_threads() == threads
        for name in layers.names:
            self._writer.add_what_if_layer(name)
        self._writer.set_attribute("what_if_processor_seconds", time.process_time() - began)
        return found

    def _last_healthy(self) -> tuple[Program, list[Built]] | None:
        """Return the stretch in which the training diverged, or the one before where it had hardly begun; None where it did not diverge."""
        if not self._has_diverged():
            return None
        last = self.stretch.take(FEWEST_BEFORE)
        if last is not None:
            return last, self.stretch.built
        return self.stretch.complete[1] if len(self.stretch.complete) > 1 else None

    def _store(self, found: Answers) -> None:
        if self.stretch.note:
            found.refused.append(("steps", self.stretch.note))
        for trial in found.trials:
            rate = trial.factor * trial.own_rate
            columns = {
                "what_if_remedy": trial.remedy,
                "what_if_start": trial.start,
                "what_if_factor": trial.factor,
                "what_if_rate": rate,
                "what_if_grid": trial.grid_index is not None,
                "what_if_outcome": trial.outcome,
                "what_if_stuck_by": trial.stuck_by,
                "what_if_reason": trial.reason,
            }
            self._writer.add_what_if(_points(trial), **columns)
        refused = [{"what": what, "why": why[:_LONGEST_REASON]} for what, why in found.refused]
        attributes: dict[str, Any] = {
            "what_if_steps": found.steps,
            "what_if_own_rate": found.own_rate if math.isfinite(found.own_rate) else 0.0,
            "what_if_proved": int(found.proved),
            "what_if_refused": json.dumps(refused),
            "what_if_seconds": found.seconds,
            "what_if_rerun_steps": found.rerun_steps,
        }
        for name, value in attributes.items():
            self._writer.set_attribute(name, value)


def _points(trial: Trial) -> list[dict[str, Any]]:
    """Return the steps of a trial as the file has them."""
    points: list[dict[str, Any]] = [{"what_if_point_loss": loss} for loss in trial.losses]
    if trial.activations is not None:
        for point, rms, common in zip(points, trial.activations.rms, trial.activations.common, strict=False):
            point |= {"what_if_point_rms": rms, "what_if_point_common_mode": common}
    return points
