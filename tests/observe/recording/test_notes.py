"""What is written down of a recording, and what is said aloud."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bnprobe.observe.options import Progress
from bnprobe.observe.recording.notes import STEPS_BETWEEN_WARNINGS, Notes
from bnprobe.observe.recording.progress import ProgressReport

ENTRY = {"specification": "msr", "count": 2, "what": "layers"}


class Told:
    """Notes, and all they tell."""

    def __init__(self) -> None:
        self.attributes: dict[str, str] = {}
        self.events: list[tuple[int, str, str]] = []
        self.looks: list[int] = []
        self.said: list[Progress] = []
        self.gate = SimpleNamespace(is_shut=False)
        writer: Any = SimpleNamespace(set_attribute=self.attributes.__setitem__, add_event=lambda *event: self.events.append(event))
        schedule: Any = SimpleNamespace(begins_a_look=self.looks.append)
        gate: Any = self.gate
        self.notes = Notes(writer, gate, schedule, ProgressReport(self.said.append, 0.0), lambda: 7)


@pytest.fixture
def told() -> Told:
    return Told()


def test_an_event_is_written_and_said_at_the_open_step(told: Told) -> None:
    told.notes.event("resumption", "goes on")
    assert told.events == [(7, "resumption", "goes on")]
    assert [(one.step, one.message) for one in told.said] == [(7, "goes on")]


def test_of_warnings_in_a_row_the_first_is_told_and_every_one_looked_at(told: Told) -> None:
    last = 3 + STEPS_BETWEEN_WARNINGS
    steps = [0, 1, 3, last]
    for step in steps:
        told.notes.warn(step, "far beyond its noise")
    assert [step for step, _, _ in told.events] == [0, last]
    assert told.looks == steps


def test_a_remedy_is_told_once_however_often_its_record_comes(told: Told) -> None:
    told.notes.remedies([ENTRY])
    told.notes.remedies([ENTRY, {**ENTRY, "specification": "clip", "left": {"no norm": ["head"]}}])
    texts = [text for _, _, text in told.events]
    assert texts == ["remedy msr acts on 2 layers", "remedy clip acts on 2 layers; no norm: head"]
    assert len(json.loads(told.attributes["remedies"])) == 2


def test_after_the_end_nothing_is_written(told: Told) -> None:
    told.gate.is_shut = True
    told.notes.remedies([ENTRY])
    told.notes.untreated("a second optimizer")
    told.notes.remedy_fits("{}")
    told.notes.interventions([])
    told.notes.seeding([])
    assert not told.attributes and not told.events and not told.said
