"""What a recording writes with: the run file, its axes, and whoever decides what goes into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.options import Progress, RecordOptions
from bnprobe.observe.recording.gate import Gate
from bnprobe.observe.recording.notes import Notes
from bnprobe.observe.recording.place import Place, Placing
from bnprobe.observe.recording.progress import ProgressReport
from bnprobe.observe.recording.unseen import Unseen
from bnprobe.observe.resuming.beginning import Beginning
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.observe.schedule.schedule import Schedule
from bnprobe.originals import Original
from bnprobe.processes import is_one_of_many
from bnprobe.store.writer import RunWriter


class Output:
    """Opens the run file, and holds what belongs to it.

    Args:
        path: the run file; None: ``placing`` names it.
        options: what to record.
        attributes: root attributes.
        on_progress: called a few times a second at most.
        placing: called once, when the first training step has been made.
        number: returns the number of the open step.
        on_refusal: called when the training turns out not to be the one of its file.

    Attributes:
        began: when the recording began, on the clock of ``time.perf_counter``.
        beginning: at which step it does, in whose file.
        writer: the run file.
        unseen: what is outside the recording's sight.
        faults: where a fault of ours goes.
        gate: lets events of the training through.
        tree: the modules.
        schedule: which steps are measured.
        axes: who has which place.
        progress: says aloud where the training stands.
        notes: what is said of the recording.
        delivery: makes rows of closed steps.
        place: of the process among others.

    Raises:
        RunFileError: the file cannot be created.
        ResumeError: the training cannot go on in it.
    """

    def __init__(
        self,
        path: Path | None,
        options: RecordOptions,
        attributes: Mapping[str, str | int | float],
        on_progress: Callable[[Progress], None] | None,
        placing: Placing | None,
        number: Callable[[], int],
        on_refusal: Callable[[], None],
    ) -> None:
        self.began = Original.perf_counter()
        self.beginning = Beginning(path, options.resume, options.resume_at, attributes)
        self.writer = RunWriter(path, attributes, overwrite=True, keep=options.keep, earlier=self.beginning.earlier)
        if options.keep is not None:
            self.writer.set_attribute("keep", options.keep)
        self.unseen = Unseen(self.writer)
        self.faults = Faults(options.strict, self.writer.add_coverage)
        self.gate = Gate(self.faults, self.unseen.note_other_thread, on_refusal)
        self.tree = ModuleTree()
        self.schedule = Schedule(options.every, options.budget, options.free_seconds, agrees=is_one_of_many(os.environ))
        self.schedule.first = self.beginning.first
        self.axes = Axes(self.writer, self.tree, self.beginning.earlier)
        self.progress = ProgressReport(on_progress, self.began)
        self.notes = Notes(self.writer, self.gate, self.schedule, self.progress, number)
        self.delivery = Delivery(self.writer, self.axes, self.schedule, self.faults, self.notes.warn)
        self.place = Place(self.writer, self.unseen, placing)
