"""The view of a run that goes on, in the terminal."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.report.live_view import BARS, live_view, sparkline
from bnprobe.store.reader import read_run
from tests import synthetic_runs


def view(file, width=100):
    return live_view(diagnose(read_run(file)), width)


def test_it_says_what_goes_wrong(tmp_path):
    lines = view(synthetic_runs.exploding(tmp_path / "run.h5"))
    verdict = diagnose(read_run(tmp_path / "run.h5")).verdict
    assert any(line.startswith(f"{verdict.severity}: {verdict.id} in {verdict.layers[0]}") for line in lines)
    assert any(line.startswith("furthest from where they began") for line in lines)


def test_a_healthy_run_has_no_finding(tmp_path):
    lines = view(synthetic_runs.healthy(tmp_path / "run.h5"))
    assert not any(line.startswith(("error", "warning")) for line in lines)
    assert any(line.startswith("  loss") for line in lines)


@pytest.mark.parametrize("build", [synthetic_runs.zero_steps, synthetic_runs.killed, synthetic_runs.thinned, synthetic_runs.hostile_names])
@pytest.mark.parametrize("width", [20, 79, 200])
def test_it_keeps_to_the_terminal(build, width, tmp_path):
    lines = view(build(tmp_path / "run.h5"), width)
    assert lines
    assert all(len(line) <= width and line.isprintable() for line in lines if line)


def test_a_spike_is_seen_however_long_the_series_is():
    series = np.zeros(10_000)
    series[1234] = 1.0
    assert sparkline(series, 40).count(BARS[-1]) == 1


def test_what_is_not_finite_is_crossed():
    assert sparkline(np.array([1.0, np.nan, -np.inf]), 3) == f"{BARS[0]} ×"
    assert sparkline(np.array([]), 3) == ""
