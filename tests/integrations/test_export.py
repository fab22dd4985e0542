"""Exports, each read back by the library that it is for."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas
import pyarrow.parquet
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.errors import UsageError
from bnprobe.integrations.exporters import FORMATS, export
from bnprobe.integrations.tables import table, tables
from bnprobe.store.reader import read_run
from tests import synthetic_runs


@pytest.fixture
def run(tmp_path):
    return read_run(synthetic_runs.exploding(tmp_path / "run.h5"))


def assert_same(frame, columns):
    """A table as pandas gives it back, beside what was exported."""
    assert list(frame) == list(columns)
    for name, column in columns.items():
        if column.dtype.kind == "f":
            np.testing.assert_array_equal(frame[name].to_numpy(dtype=column.dtype, na_value=np.nan), column, err_msg=name)


def test_csv(run, tmp_path):
    export(run, "csv", tmp_path / "out")
    assert {file.stem for file in (tmp_path / "out").iterdir()} == set(tables(run))
    for name, columns in tables(run).items():
        frame = pandas.read_csv(tmp_path / "out" / f"{name}.csv", dtype=str, keep_default_na=False)
        numbers = [key for key, column in columns.items() if column.dtype.kind == "f"]
        assert_same(frame.assign(**{key: [float(cell or "nan") for cell in frame[key]] for key in numbers}), columns)


def test_csv_leaves_a_cell_empty_where_nothing_was_observed(run, tmp_path):
    export(run, "csv", tmp_path / "out")
    with (tmp_path / "out" / "steps.csv").open(newline="") as stream:
        first = next(csv.DictReader(stream))
    assert first["clip_norm"] == ""
    assert float(first["loss"]) == run["loss"][0]


def test_parquet(run, tmp_path):
    export(run, "parquet", tmp_path / "out")
    for name, columns in tables(run).items():
        assert_same(pandas.read_parquet(tmp_path / "out" / f"{name}.parquet"), columns)
    field = pyarrow.parquet.read_schema(tmp_path / "out" / "layers.parquet").field("activation_rms")
    assert field.metadata[b"formula"] == b"sqrt(A + B + W)"


def test_tensorboard(run, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    export(run, "tensorboard", tmp_path / "out")
    events = accumulator.EventAccumulator(str(tmp_path / "out"), size_guidance={"scalars": 0})
    events.Reload()
    losses = events.Scalars("training/loss")
    finite = ~np.isnan(run["loss"])
    assert [one.step for one in losses] == run["step"][finite].tolist()
    np.testing.assert_array_equal(np.array([one.value for one in losses], dtype="f4"), run["loss"][finite].astype("f4"))
    layer = run.layers[1].name
    sizes = events.Scalars(f"activation_rms/{layer}")
    layers = table(run, "layers")
    np.testing.assert_array_equal(np.array([one.value for one in sizes], "f4"), layers["activation_rms"][layers["layer"] == layer])
    assert diagnose(run).verdict.id in events.Tensors("bnprobe/verdict")[0].tensor_proto.string_val[0].decode()


def test_json(run, tmp_path):
    export(run, "json", tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["schema"] == "bnprobe-tables-1"
    assert document["diagnosis"]["verdict"] == diagnose(run).verdict.id
    layers = table(run, "layers")
    read = [np.nan if value is None else float(value) for value in document["tables"]["layers"]["activation_rms"]]
    np.testing.assert_array_equal(np.array(read, dtype="f4"), layers["activation_rms"])


@pytest.mark.parametrize("to", FORMATS)
def test_a_run_without_a_step(to, tmp_path):
    export(read_run(synthetic_runs.zero_steps(tmp_path / "run.h5")), to, tmp_path / "out")
    assert (tmp_path / "out").exists()


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="already exists"):
        export(run, "csv", tmp_path / "out")


def test_an_unknown_format_is_named(run, tmp_path):
    with pytest.raises(UsageError, match="--to excel is unknown"):
        export(run, "excel", tmp_path / "out")


def test_a_place_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        export(run, "csv", tmp_path / "file" / "out")
