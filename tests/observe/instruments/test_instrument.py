"""What all instruments share: the stopwatch, and who is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from bnprobe.observe.instruments import instrument
from bnprobe.observe.instruments.instrument import Instrument, Reading, Stopwatch, Update, overriding
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, to be set by the test."""
    now = [100.0]
    monkeypatch.setattr(instrument.Original, "perf_counter", lambda: now[0])
    return now


def test_what_is_timed_inside_something_timed_counts_once(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch:
        clock[0] += 1.0
        with watch:
            clock[0] += 2.0
        clock[0] += 4.0
    clock[0] += 8.0
    assert watch.take() == 7.0
    assert watch.take() == 0.0


def test_what_is_taken_meanwhile_leaves_the_rest_for_the_next(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch:
        clock[0] += 1.0
    with watch:
        clock[0] += 2.0
        assert watch.take() == 1.0
        clock[0] += 4.0
    assert watch.take() == 6.0


def test_only_those_with_a_method_of_their_own_are_asked() -> None:
    class Closing(Instrument):
        def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
            return [("half_results", Reading([1.0]))]

    one = Closing()
    assert overriding([Instrument(), one], "close") == [one.close]
    assert overriding([Instrument(), one], "before_update") == []


def test_the_parameters_of_an_update_are_looked_up_when_they_are_asked_for() -> None:
    weight, other = torch.ones(2), torch.ones(3)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    update = Update(optimizer)
    optimizer.add_param_group({"params": [other]})
    assert [id(parameter) for parameter in update.parameters] == [id(weight), id(other)]
    assert Update(None).parameters == []
    assert Update(None, [weight]).parameters[0] is weight
