"""A recording that is cut to its first steps is what a reader of the file found then."""

import itertools
import tarfile
from pathlib import Path

import pytest

from bnprobe.diagnose import diagnose
from bnprobe.report.live_view import told
from bnprobe.store.reader import Run, read_run
from tests.faults.prefix import STEP_OF_AXIS, bursts, prefix

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
    assert all(cut[name].max(initial=0) <= last for name in STEP_OF_AXIS.values())
    assert all(event.step <= last for event in cut.events)
    assert len(cut["loss"]) == len(cut["activation_rms"]) == 7
    assert len(cut["channel_mean"]) == len(cut["snapshot"]) < len(run["snapshot"])


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
