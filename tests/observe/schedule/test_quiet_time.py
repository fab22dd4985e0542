from __future__ import annotations

from pathlib import Path

import pytest

from bnprobe.observe.schedule import quiet_time
from bnprobe.observe.schedule.quiet_time import INTERVAL, QuietTime


class Clock:
    """Stands for the time of day and the queue's account."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.queued = 100.0, 5.0
        monkeypatch.setattr(quiet_time.Original, "perf_counter", staticmethod(lambda: self.now))
        monkeypatch.setattr(quiet_time, "_queued", lambda: self.queued)


def test_what_was_waited_for_a_processor_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    quiet = QuietTime()
    clock.now, clock.queued = 102.0, 5.5
    assert quiet.share() == pytest.approx(0.75)
    clock.now = 102.0 + INTERVAL / 2
    assert quiet.share() == pytest.approx(0.75), "too soon to look again"
    clock.now = 103.0
    assert quiet.share() == 1.0


def test_a_thread_that_hardly_ran_has_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    quiet = QuietTime()
    clock.now, clock.queued = 101.0, 6.1
    assert quiet.share() == quiet_time.LEAST_SHARE


def test_without_an_account_all_time_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(quiet_time, "ACCOUNT", str(tmp_path / "absent"))
    assert QuietTime().share() == 1.0
