"""What a recording asks of its what-if: to watch the first steps, and to answer when the training is over."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bnprobe.analyse.what_if import TAPES
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.companion import Companion
from bnprobe.observe.faults import Faults
from bnprobe.observe.options import RecordOptions
from bnprobe.remedies.catalogue import ENTRIES
from bnprobe.store.reader import read_run
from bnprobe.store.writer import RunWriter
from bnprobe.what_if.activations import Layers
from bnprobe.what_if.answers import Answers, answer, answer_from_here
from bnprobe.what_if.cycling import long_enough
from bnprobe.what_if.interruption import Interrupted, interruptible
from bnprobe.what_if.judging import Judge, Trial
from bnprobe.what_if.kept.tape_file import tape_path, write_tapes
from bnprobe.what_if.kept.unkept import Unkept
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

#: Steps with which a training that ended in them has an answer, its batches gone through several times.
FEWEST_CYCLED = 2
#: Steps before a divergence from which something can be changed; where there are fewer, the stretch before is taken.
FEWEST_BEFORE = 5
#: An attribute of the run file holds 64 KiB.
_LONGEST_REASON = 300


class WhatIf(Companion):
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
        name_of: tells the name of a parameter in the recording, empty as long as it has none.
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
        name_of: Callable[[torch.Tensor], str],
    ) -> None:
        watched = has_diverged if options.what_if_from_here else None
        self.stretch = Stretch(options.what_if or 0, options.what_if_memory, step_number, settle, optimizers, faults, name_of, watched)
        self._keeps_tapes, self._most_bytes = options.keep_tapes, options.what_if_memory
        self._remedies = options.what_if_remedies or REMEDIES
        self._has_diverged = has_diverged
        self._writer = writer
        self._faults = faults
        self._say = say

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """These optimizers are of the stretch."""
        self.stretch.expect(optimizers)

    def attach(self, patches: Patches) -> None:
        """Wait for the first forward."""
        self.stretch.attach(patches)

    def detach(self) -> None:
        """Put nothing more on the tape."""
        self.stretch.detach()

    def update_begins(self) -> None:
        """What others do to look at the weights is no part of the step."""
        self.stretch.pause()

    def before_update(self, optimizer: Optimizer) -> None:
        """What the script has made of its gradients is on the tape."""
        self.stretch.before_update(optimizer)

    def after_update(self) -> None:
        """Go on with the tape."""
        self.stretch.after_update()

    def step_closed(self, step: int) -> None:
        """A step of the stretch is whole."""
        self.stretch.end_step(step)

    def leave_off(self) -> None:
        """Say why there is no answer; where the training goes on, the answer takes the place of that."""
        self._store(Answers(refused=[("all", "another program was to take the script's place before it was answered")]))

    def finish(self, steps: int, ending: Any) -> None:
        """Train the stretch again, and store the answers."""
        with self._faults.guard("what if"):
            self.answer(ending)

    def answer(self, ending: Any) -> None:
        """Train the stretch again, and store the answers."""
        if ending.status == "interrupted":
            self.stretch.refuse("the recording was interrupted")
        late: tuple[Program, list[Built]] | None = None
        if self.stretch.complete:
            program, built = self.stretch.complete[0]
            late = self._last_healthy()
        else:
            # A training that came to a bad end has an answer in spite of few steps.
            is_lost = self._has_diverged() or ending.status == "crashed"
            taken = self.stretch.take(FEWEST_CYCLED if is_lost else None)
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
        asked = long_enough(program)
        if asked is None:
            return Answers(refused=[("all", "the training ended before its first step was whole")])
        run = read_run(self._writer.path)
        began = time.process_time()
        layers = Layers(asked, built)
        judge = Judge(run, program.first_step, program.steps, asked.steps if asked is not program else 0)
        found = answer(program, asked, judge, RemedyEdits(built, asked), layers, self._remedies, self._say, self._room)
        if not found.proved and self.stretch.hidden_backwards:
            found.refused.append(("proof", self.stretch.hidden_backwards))
        if late is not None and not found.ended_by:
            self._say(f"what if: {late[0].steps} steps from step {late[0].first_step} on are trained again")
            kept = answer_from_here(late[0], judge, RemedyEdits(late[1], late[0]), self._remedies)
            found.trials += kept.trials
            found.refused += [(f"from step {late[0].first_step}: {what}", why) for what, why in kept.refused]
            found.rerun_steps += kept.rerun_steps
        for name in layers.names:
            self._writer.add_what_if_layer(name)
        self._writer.set_attribute("what_if_processor_seconds", time.process_time() - began)
        if self._keeps_tapes and found.proved:
            self._keep([(program, built), *([late] if late is not None else [])], found)
        return found

    @property
    def _room(self) -> int:
        """Bytes that may still be kept."""
        return max(0, self._most_bytes - self.stretch.held_bytes)

    def _keep(self, stretches: list[tuple[Program, list[Built]]], found: Answers) -> None:
        """Write the tapes beside the run file, where they can be written."""
        path, token = tape_path(self._writer.path), uuid.uuid4().hex
        try:
            size = write_tapes(path, stretches, token, self._most_bytes)
        except Unkept as reason:
            found.refused.append((TAPES, str(reason)))
            return
        self._writer.set_attribute("what_if_tapes", token)
        self._say(
            f"what if: the tapes are kept in {path.name}, {size / 2**20:.1f} MiB; bnprobe what-if --rate, --remedy and --from ask more"
        )

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
            "what_if_first_rate": found.own_rates[0],
            "what_if_last_rate": found.own_rates[1],
            "what_if_cycled": found.cycled,
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
