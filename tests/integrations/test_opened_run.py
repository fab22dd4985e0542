"""A run in a notebook: its diagnosis, its tables, its figures, without torch."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas
import plotly.graph_objects as go
import pytest
import xarray

import bnprobe
from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError, UsageError
from bnprobe.report.page import render
from bnprobe.store.reader import read_run
from tests import synthetic_runs


@pytest.fixture
def file(tmp_path):
    return synthetic_runs.exploding(tmp_path / "run.h5")


def test_it_has_the_diagnosis_of_the_command_line(file):
    opened = bnprobe.open_run(file)
    expected = diagnose(read_run(file))
    assert opened.findings == expected.findings
    assert opened.outcome == expected.outcome


def test_its_name_in_a_notebook_says_the_verdict(file):
    opened = bnprobe.open_run(file)
    verdict = opened.findings[0]
    assert verdict.id in repr(opened)
    assert f"step {verdict.step}" in repr(opened)
    shown = opened._repr_html_()
    assert verdict.id in shown
    assert len(shown) < 20_000


def test_names_of_the_script_are_no_markup(tmp_path):
    opened = bnprobe.open_run(synthetic_runs.hostile_names(tmp_path / "<i>run.h5"))
    assert "<script>" not in opened._repr_html_()
    assert "<i>" not in opened._repr_html_()


def test_dataframe(file):
    opened = bnprobe.open_run(file)
    frame = opened.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    layer = opened.layers[2].name
    np.testing.assert_array_equal(frame[frame.layer == layer].activation_rms, opened.view.activation.rms[:, 2])
    np.testing.assert_array_equal(opened.to_dataframe("steps").loss, opened["loss"])


@pytest.mark.slow
def test_xarray_is_what_xarray_reads_of_the_file(file):
    with xarray.open_dataset(file, engine="h5netcdf") as expected:
        dataset = bnprobe.open_run(file).to_xarray()
        assert set(dataset.variables) == set(expected.variables)
        for name in dataset.variables:
            assert dataset[name].dims == expected[name].dims
            if dataset[name].dtype.kind == "f":
                np.testing.assert_array_equal(dataset[name].values, expected[name].values)
        assert dataset.activation_rms.attrs["formula"] == "sqrt(A + B + W)"


def test_figures(file):
    opened = bnprobe.open_run(file)
    figures = opened.figures
    for figure in (figures.loss(), figures.heat_map("common-mode"), figures.channels(opened.layers[0].name, "variance")):
        assert isinstance(figure, go.Figure)
    early, late = figures.depth_profile(step=0), figures.depth_profile(step=10**6)
    heights = [np.concatenate([np.asarray(trace.y, dtype=float) for trace in figure.data]) for figure in (early, late)]
    assert not np.array_equal(*heights, equal_nan=True)


def test_each_figure_of_the_page_can_be_had_by_itself(file):
    figures = bnprobe.open_run(file).figures.all()
    text = render([file])
    assert set(re.findall(r'class="plot" id="([^"]+)"', text)) == set(figures)
    assert all(isinstance(figure, go.Figure) for figure in figures.values())


def test_what_is_not_there_is_named(file):
    figures = bnprobe.open_run(file).figures
    with pytest.raises(UsageError, match="no heat map of 'rms'"):
        figures.heat_map("rms")
    with pytest.raises(UsageError, match=r"'no\.layer' were not stored"):
        figures.channels("no.layer")


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(RunFileError, match="cannot read"):
        bnprobe.open_run(tmp_path / "absent.h5")


def test_it_needs_no_torch(file):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"import bnprobe; run = bnprobe.open_run({str(file)!r}); run.figures.loss(); run.to_dataframe(); print(run)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "run" in done.stdout


def test_public_names():
    assert {name for name in dir(bnprobe) if not name.startswith("_")} >= {"open_run", "record", "line_probe", "sharpness"}
    for name in ("open_run", "record", "line_probe", "LineProbe", "sharpness", "Sharpness"):
        assert callable(getattr(bnprobe, name))
