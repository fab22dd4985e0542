from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from bnprobe.observe.rows.flight_recorder import LAST_STEPS, LIMIT_BYTES, STEPS_AFTER, FlightRecorder


@dataclass
class Row:
    """Stands for the channels of a step."""

    step: int
    nbytes: int = 100


def keep(flight: FlightRecorder, row: Row, write: bool = False) -> bool:
    return flight.keep(cast(Any, row), write=write)


def steps(rows: list[Any]) -> list[int]:
    return [row.step for row in rows]


def test_the_last_steps_are_kept() -> None:
    flight = FlightRecorder()
    assert not any(keep(flight, Row(step)) for step in range(50))
    assert steps(flight.dump()) == list(range(50 - LAST_STEPS, 50))


def test_what_was_written_is_not_written_again() -> None:
    flight = FlightRecorder()
    written = [step for step in range(10) if keep(flight, Row(step), write=step % 4 == 0)]
    assert written == [0, 4, 8]
    assert steps(flight.dump()) == [1, 2, 3, 5, 6, 7, 9]
    assert flight.dump() == []


def test_the_steps_after_a_divergence_are_written_as_they_come() -> None:
    flight = FlightRecorder()
    keep(flight, Row(0))
    flight.dump()
    assert [keep(flight, Row(step)) for step in range(1, 6)] == [True] * STEPS_AFTER + [False] * (5 - STEPS_AFTER)
    assert steps(flight.dump()) == [4, 5]


def test_memory_is_bounded() -> None:
    flight = FlightRecorder()
    for step in range(10):
        keep(flight, Row(step, LIMIT_BYTES // 3))
    assert steps(flight.dump()) == [7, 8, 9]


def test_the_latest_step_is_kept_however_large() -> None:
    flight = FlightRecorder()
    for step in range(3):
        keep(flight, Row(step, 2 * LIMIT_BYTES))
    assert steps(flight.dump()) == [2]
    keep(flight, Row(3, 2 * LIMIT_BYTES))


def test_a_dump_forgets_sizes_too() -> None:
    flight = FlightRecorder()
    for start in range(0, 100, 10):
        flight = flight if start else FlightRecorder()
        for step in range(start, start + 10):
            keep(flight, Row(step, LIMIT_BYTES // 8))
        assert len(flight.dump()) == (8 if start == 0 else 10 - STEPS_AFTER)
