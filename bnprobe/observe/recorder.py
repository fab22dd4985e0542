"""The recorder: one training observed, one run file written.

It has a life: installed, paused, resumed, finished, abandoned. What the training does meanwhile is heard in ``recording/``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bnprobe import __version__
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.options import Progress, RecordOptions
from bnprobe.observe.recording.output import Output
from bnprobe.observe.recording.place import Placing
from bnprobe.observe.recording.training_events import TrainingEvents
from bnprobe.observe.remedies.injector import RemedyInjector
from bnprobe.originals import Original
from bnprobe.processes import attributes_of


class Recorder:
    """Observes the training in this process and writes it to a run file.

    Args:
        path: the run file; an existing one is replaced (the command line has asked before), unless the training goes on in
            it. None: ``place`` names it.
        options: what to record.
        provenance: root attributes that say how the run was made.
        on_progress: called a few times a second at most.
        place: called once, when the first training step has been made, with which of how many processes this is and whether its weights are
            in memory that others share; returns the run file and further root attributes. Until then all is kept in memory.

    Raises:
        RunFileError: the file cannot be created.
        ResumeError: the training cannot go on in it.
    """

    def __init__(
        self,
        path: Path | None,
        options: RecordOptions,
        provenance: Mapping[str, str],
        on_progress: Callable[[Progress], None] | None = None,
        place: Placing | None = None,
    ) -> None:
        attributes: dict[str, str | int | float] = {**provenance, **_environment(), "pid": Original.getpid()}
        self._output = Output(path, options, attributes, on_progress, place, lambda: self._events.number, self._detach)
        self._gate = self._output.gate
        self._events = TrainingEvents(options, self._output)
        self._attached = self._events.attached
        notes = self._output.notes
        self._known_gaps: dict[tuple[str, str], int] = {}
        self._injector = RemedyInjector(options.remedies, notes.remedies, notes.untreated) if options.remedies else None

    def expect(self, model: torch.nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Know what was built before the recorder: a call of a part is one of the model, and no optimizer's weights move by hand."""
        self._attached.expect(model, optimizers)
        self._events.companions.expect(optimizers)

    def take_over(self, other: Recorder) -> None:
        """Know what a recorder of the parent knew, before this process was forked."""
        self._attached.take_over(other._attached)

    def install(self) -> None:
        """Attach to torch."""
        if self._injector is not None:
            self._injector.attach()
        self.resume()

    def resume(self) -> None:
        """Attach to torch, again after ``pause``."""
        self._attached.attach(self._events.companions)
        self._events.keeper.begin()

    def pause(self) -> None:
        """Detach from torch until ``resume``; nothing of the recorder is left in a step."""
        self.settle()
        self._detach()

    def settle(self) -> None:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        self._events.settle()

    def flush(self) -> None:
        """Put on disk what is complete."""
        with self._gate.thread.lock:
            self._events.end_passing()
            self._output.delivery.flush()

    def leave_off(self, ending: Any | None) -> None:
        """Write all that ``finish`` would, as if the process ended now, for it may; None: it did not, and the recording goes on.

        Args:
            ending: how it would have ended.
        """
        if self._gate.is_shut:
            return
        with self._gate.thread.lock:
            writer = self._output.writer
            if ending is None:
                self._events.keeper.reopen()
                writer.take_back_coverage(self._known_gaps)  # what is unseen now may be seen later
                closing: dict[str, str | int] = {"status": "running", "ending": "", "exit_status": -1}
            else:
                self.settle()
                self._known_gaps = writer.coverage
                self._write_rest(ending)
                self._events.companions.leave_off()
                closing = _closing(ending)
            for name, value in closing.items():
                writer.set_attribute(name, value)
            self._output.delivery.flush()

    def finish(self, ending: Any) -> None:
        """Close the open step and the file. May be called again.

        Args:
            ending: how the run ended, with ``status``, ``detail`` and ``exit_status``.
        """
        if self._gate.is_shut:
            return
        with self._gate.thread.lock:
            self.settle()  # while companions listen: the last step belongs to a what-if's stretch
            self._detach()
            if self._injector is not None:
                self._injector.detach()
            self._gate.is_shut = True
            self._write_rest(ending)
            self._events.companions.finish(self._events.number, ending)
            self._output.writer.close(**_closing(ending))

    def abandon(self) -> None:
        """Forget everything without touching the file: this is a forked child."""
        self._gate.shut_in_child()
        if self._events.passing is not None:
            self._events.passing.drop()
        self._detach()

    @property
    def has_rows(self) -> bool:
        """Whether a step of this process has been taken down."""
        return self._output.delivery.last_step is not None

    @property
    def steps(self) -> int:
        """How many steps have been closed."""
        return self._events.number - self._output.schedule.first

    @property
    def has_recorded(self) -> bool:
        """Whether the file holds something of this process; one that a training goes on in does from its first backward on."""
        return self._output.beginning.going_on is None

    @property
    def refusal(self) -> Exception | None:
        """Why nothing of this process is in the file, where the script was told."""
        return self._gate.refusal

    def note_remedies(self, record: list[dict[str, Any]]) -> None:
        """Remedies have been applied to a model of the script; ``record`` is what ``Applied.record`` says of them."""
        self._output.notes.remedies(record)

    def note_interventions(self, record: list[dict[str, Any]]) -> None:
        """This training was changed for a trial; ``record`` says what was changed, or why nothing was."""
        self._output.notes.interventions(record)

    def note_seeding(self, calls: list[str]) -> None:
        """The script's calls that seed got other seeds; each call, with what it was given instead."""
        self._output.notes.seeding(calls)

    def _detach(self) -> None:
        self._attached.detach(self._events.companions)

    def _write_rest(self, ending: Any) -> None:
        """Write what is known only as the training ends."""
        output, attached = self._output, self._attached
        with output.faults.guard("the last, unfinished step"):
            self._events.keeper.close_unfinished()
        output.unseen.write(self._events.number, attached.forward, attached.compiled, attached.optimizers, output.axes)
        output.writer.set_attribute("backwards_without_update", self._events.clock.backwards_without_update)
        output.delivery.finish(whole=ending.status in ("finished", "stopped"))


def _closing(ending: Any) -> dict[str, str | int]:
    """Return the attributes that say how a run ended."""
    return {"status": ending.status, "ending": ending.detail, "exit_status": -1 if ending.exit_status is None else ending.exit_status}


def _environment() -> dict[str, str]:
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {
        "bnprobe_version": __version__,
        "torch_version": torch.__version__,
        "device": device,
        "threads": str(torch.get_num_threads()),
        **attributes_of(os.environ),
    }
