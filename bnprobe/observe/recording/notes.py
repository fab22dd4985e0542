"""What is said of a recording, in its file and to whoever watches: remedies, changes of a trial, warnings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bnprobe.observe.recording.gate import Gate
from bnprobe.observe.recording.progress import ProgressReport
from bnprobe.observe.schedule.schedule import Schedule
from bnprobe.store.writer import RunWriter

#: A warning is said aloud if none came within so many steps before it.
STEPS_BETWEEN_WARNINGS = 100


class Notes:
    """Writes sentences and attributes down; after the end of the recording none.

    Args:
        writer: the run file.
        gate: knows whether the recording is over.
        schedule: takes a closer look where the training seems about to be lost.
        progress: says aloud what deserves it.
        number: returns the number of the open step.
    """

    def __init__(self, writer: RunWriter, gate: Gate, schedule: Schedule, progress: ProgressReport, number: Callable[[], int]) -> None:
        self._writer = writer
        self._gate = gate
        self._schedule = schedule
        self._progress = progress
        self._number = number
        self._remedies_noted = 0
        self._last_warning = -STEPS_BETWEEN_WARNINGS

    def say(self, text: str) -> None:
        """Say a sentence aloud."""
        self._progress.say(self._number(), text)

    def event(self, kind: str, text: str) -> None:
        """Write a sentence down, as an event of the open step, and say it aloud."""
        self._writer.add_event(self._number(), kind, text)
        self.say(text)

    def warn(self, step: int, text: str) -> None:
        """The training seems about to be lost: write down and say the first of such sentences in a row."""
        self._schedule.begins_a_look(step)
        if step - self._last_warning >= STEPS_BETWEEN_WARNINGS:
            self._writer.add_event(step, "warning", text)
            self.say(f"step {step}: {text}")
        self._last_warning = step

    def remedies(self, record: list[dict[str, Any]]) -> None:
        """Remedies have been applied to a model of the script; ``record`` is what ``Applied.record`` says of them."""
        if self._gate.is_shut:
            return
        self._writer.set_attribute("remedies", json.dumps(record))
        for entry in record[self._remedies_noted :]:
            text = f"remedy {entry['specification']} acts on {entry['count']} {entry['what']}"
            for why, left in entry.get("left", {}).items():
                text += f"; {why}: {', '.join(left)}"
            self.event("remedy", text)
        self._remedies_noted = len(record)

    def untreated(self, text: str) -> None:
        """An optimizer of the script trains something without the remedies."""
        if not self._gate.is_shut:
            self.event("remedy", text)

    def remedy_fits(self, reasons: str) -> None:
        """More is known of which remedies could act on this training."""
        self._set("remedy_fits", reasons)

    def interventions(self, record: list[dict[str, Any]]) -> None:
        """This training was changed for a trial; ``record`` says what was changed, or why nothing was."""
        self._set("interventions", json.dumps(record))

    def seeding(self, calls: list[str]) -> None:
        """The script's calls that seed got other seeds; each call, with what it was given instead."""
        self._set("seeding", json.dumps(calls))

    def _set(self, name: str, value: str) -> None:
        if not self._gate.is_shut:
            self._writer.set_attribute(name, value)
