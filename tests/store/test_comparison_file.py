from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from bnprobe.errors import RunFileError
from bnprobe.store.comparison_file import holds_comparison, read_comparison, write_comparison
from bnprobe.store.comparison_schema import VARIABLES
from bnprobe.store.limits_file import holds_limits, read_limits, write_limits
from tests.comparison_trials import ATTRIBUTES, trials
from tests.limit_trials import trials as limit_trials


def flat(one: object) -> list[object]:
    values = [getattr(one, field.name) for field in dataclasses.fields(one) if field.name != "rate"]  # type: ignore[arg-type]
    return [value.tolist() if isinstance(value, np.ndarray) else repr(value) for value in values]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "comparison.h5"
    write_comparison(path, ATTRIBUTES, trials())
    found = read_comparison(path)
    assert [flat(one) for one in found.trials] == [flat(one) for one in trials()]
    assert {name: found.attributes[name] for name in ATTRIBUTES} == ATTRIBUTES
    assert found.problems == [] and found.own_rate == pytest.approx(0.1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["comparison.h5"]
    write_comparison(path, {}, [])
    assert read_comparison(path).trials == []


def test_the_file_describes_itself(tmp_path: Path) -> None:
    write_comparison(tmp_path / "comparison.h5", ATTRIBUTES, trials())
    with xarray.open_dataset(tmp_path / "comparison.h5", engine="h5netcdf") as data:
        assert set(data.variables) == set(VARIABLES)
        assert data["evaluation_loss"].dims == ("evaluation",)
        assert data["trial_held_out_loss"].attrs["long_name"]


def test_the_kinds_of_file_are_told_apart(tmp_path: Path) -> None:
    compared, limits = tmp_path / "comparison.h5", tmp_path / "limits.h5"
    write_comparison(compared, ATTRIBUTES, trials())
    write_limits(limits, {}, limit_trials(), [])
    assert holds_comparison(compared) and not holds_limits(compared)
    assert holds_limits(limits) and not holds_comparison(limits)
    with pytest.raises(RunFileError, match="not a file of compared techniques"):
        read_comparison(limits)
    with pytest.raises(RunFileError, match="not a file of learning-rate trials"):
        read_limits(compared)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "comparison.h5"
    write_comparison(path, ATTRIBUTES, trials())
    with h5py.File(path, "r+") as file:
        del file["trial_held_out_loss"]
    found = read_comparison(path)
    assert found.trials == [] and "trial_held_out_loss could not be read" in found.problems[0]
