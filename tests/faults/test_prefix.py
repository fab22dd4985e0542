"""A recording that is cut to its first steps is what a reader of the file found then."""

import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.report.live_view import told
from bnprobe.store.reader import Run, read_run
from bnprobe.store.schema import STEP_OF, variables_along
from tests.faults.prefix import bursts, prefix

SAMPLES = Path(__file__).with_name("samples.tar.xz")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that diverged."""
    folder = tmp_path_factory.mktemp("samples")
    with tarfile.open(SAMPLES) as archive:
        archive.extract("unscaled-input.h5", folder, filter="data")
    return read_run(folder / "unscaled-input.h5")


def test_nothing_of_later_steps_is_left(run: Run) -> None:
    cut = prefix(run, 7)
    assert cut.steps == 7 and cut.status == "running"
    last = int(run["step"][6])
    assert all(cut[name].max(initial=0) <= last for name in STEP_OF.values())
    assert all(event.step <= last for event in cut.events)
    assert len(cut["loss"]) == len(cut["activation_rms"]) == 7
    assert len(cut["channel_mean"]) == len(cut["snapshot"]) < len(run["snapshot"])


@pytest.mark.parametrize("axis", [axis for axis in STEP_OF if axis != "step"])
def test_rows_of_every_axis_with_a_step_are_cut(run: Run, axis: str) -> None:
    """A row at the first step, and one behind the cut."""
    first, last = int(run["step"][0]), int(run["step"][-1])
    two = {one.name: np.repeat(run[one.name][:1], 2, axis=0) if len(run[one.name]) else np.zeros(2) for one in variables_along(axis)}
    two[STEP_OF[axis]] = np.array([first, last])
    cut = prefix(replace(run, variables={**run.variables, **two}, lengths={**run.lengths, axis: 2}), 7)
    assert cut.lengths[axis] == 1
    assert {len(cut[one.name]) for one in variables_along(axis)} == {1}


def test_the_whole_run_stays_what_it_is(run: Run) -> None:
    prefix(run, 7)
    assert run.steps > 7 and run.status == "finished"
    whole = prefix(run, run.steps)
    assert whole.steps == run.steps and len(whole["channel_mean"]) == len(run["channel_mean"])


def test_a_fault_of_the_first_batch_is_told_before_the_divergence(run: Run) -> None:
    assert [finding.id for finding in told(diagnose(prefix(run, 1)))][:1] == ["unscaled-input"]


def test_a_run_is_looked_at_ever_less_often() -> None:
    grid = bursts(400)
    gaps = [later - earlier for earlier, later in itertools.pairwise(grid)]
    assert grid[0] == 1 and gaps == sorted(gaps) and gaps[-1] == 10
    assert bursts(0) == []
