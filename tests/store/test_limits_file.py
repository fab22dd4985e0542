from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from bnprobe.errors import RunFileError
from bnprobe.store.limits_file import Prediction, Trial, holds_limits, own_rate, read_limits, write_limits
from bnprobe.store.limits_schema import VARIABLES
from bnprobe.store.reader import read_run
from tests.limit_trials import trial, trials


def flat(one: Trial) -> list[object]:
    values = [getattr(one, field.name) for field in dataclasses.fields(one)]
    return [value.tolist() if isinstance(value, np.ndarray) else repr(value) for value in values]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    written = [*trials(), trial(0, "failed", "agc", output="Traceback\n  é", stuck_by="slow")]
    write_limits(path, {"steps": 20, "script": "train.py"}, written, [Prediction("NONE", "line probe", 3, 0.2, 0.3)])
    limits = read_limits(path)
    assert [flat(one) for one in limits.trials] == [flat(one) for one in written]
    assert limits.predictions == [Prediction("NONE", "line probe", 3, 0.2, 0.3)]
    assert limits.attributes["steps"] == 20
    assert limits.problems == []
    assert limits.own_rate == pytest.approx(0.1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["limits.h5"]


def test_a_file_without_trials_is_read(tmp_path: Path) -> None:
    write_limits(tmp_path / "limits.h5", {}, [], [])
    limits = read_limits(tmp_path / "limits.h5")
    assert (limits.trials, limits.predictions) == ([], [])
    assert np.isnan(limits.own_rate)


def test_the_file_describes_itself(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, trials(), [])
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert set(data.variables) == set(VARIABLES)
        assert data["trial_rate"].dims == ("trial",)
        assert data["sample_loss"].dims == ("sample",)
        assert data["trial_rate"].attrs["long_name"]
        np.testing.assert_allclose(data["trial_rate"], 0.1 * data["trial_factor"])


def test_the_own_rate_is_what_the_script_reaches_where_it_lives() -> None:
    died_in_warm_up = trial(4, "diverges", peak_rate=0.2)  # 0.5 would have come
    assert own_rate([died_in_warm_up, trial(0, "trains")]) == pytest.approx(0.1)


def test_the_two_kinds_of_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, trials(), [])
    assert holds_limits(path)
    with pytest.raises(RunFileError, match="not one of bnprobe's"):
        read_run(path)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.attrs["Conventions"] = "bnprobe-1"
    assert not holds_limits(other)
    with pytest.raises(RunFileError, match="not a file of learning-rate trials"):
        read_limits(other)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, [], [])
    with h5py.File(path, "r+") as file:
        file.attrs["Conventions"] = "bnprobe-limits-2"
    with pytest.raises(RunFileError, match="reads up to bnprobe-limits-1"):
        read_limits(path)


def test_a_damaged_column_is_told(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, trials(), [])
    with h5py.File(path, "r+") as file:
        del file["trial_reason"]
    limits = read_limits(path)
    assert limits.trials == []
    assert "trial_reason" in limits.problems[0]


@pytest.mark.parametrize("grid_index", [-400, -17, -1, 0, 1, 3, 9, 400])
def test_the_place_on_the_grid_is_told_by_the_factor(tmp_path: Path, grid_index: int) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, [trial(grid_index, "trains")], [])
    assert [one.grid_index for one in read_limits(path).trials] == [grid_index]


def test_a_file_that_stores_the_place_on_the_grid_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, trials(), [])
    with h5py.File(path, "r+") as file:
        file["trial_notch"] = np.zeros(len(trials()), dtype="i4")
    limits = read_limits(path)
    assert [one.grid_index for one in limits.trials] == [one.grid_index for one in trials()]
    assert limits.problems == []


def test_a_trial_off_the_grid_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "limits.h5"
    write_limits(path, {}, trials(), [])
    with h5py.File(path, "r+") as file:
        file["trial_factor"][:2] = [1.3, 5.0**200]
    limits = read_limits(path)
    assert len(limits.trials) == len(trials()) - 2
    assert limits.problems == ["2 trials lie off the grid of factors"]
    assert len(limits.trials[0].loss) == 20
