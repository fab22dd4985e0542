from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.layer_table import layer_lines
from bnprobe.store.reader import read_run
from tests.synthetic_runs import residual_recording


def test_every_layer_has_its_line(analysed: Callable[[str], AnalysedRun]) -> None:
    run = analysed("exploding")
    lines = layer_lines(run)
    assert sorted(line.depth for line in lines) == list(range(1, len(run.run.layers) + 1))
    assert all(run.run.layers[line.depth - 1].name == line.name for line in lines)


def test_the_layer_that_left_first_stands_first(tmp_path: Path) -> None:
    made = residual_recording(steps=40)
    culprit, follower = made.index("stage2.block2.conv1"), made.index("stage1.block1.conv1")
    made.activation.rms[35:, culprit] *= 1e3
    made.activation.rms[37:, follower] *= 1e6
    made.activation.rms[38:, follower] = np.nan
    lines = layer_lines(analyse_runs([read_run(made.write(tmp_path / "run.h5"))])[0])
    assert [(line.name, line.left) for line in lines[:2]] == [("stage2.block2.conv1", "35"), ("stage1.block1.conv1", "37")]
    assert (lines[0].nonfinite, lines[1].nonfinite) == ("", "38")
    first, last = lines[0].rms.split(" → ")
    assert float(last) / float(first) > 500


def test_a_layer_that_is_zero_all_along_has_not_changed(tmp_path: Path) -> None:
    made = residual_recording(steps=12)
    silent = made.index("stage1.block1.conv1")
    made.activation.rms[:, silent] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lines = layer_lines(analyse_runs([read_run(made.write(tmp_path / "run.h5"))])[0])
    assert next(line.rms for line in lines if line.name == "stage1.block1.conv1") == "0 → 0"


def test_a_run_without_layers_has_an_empty_table(analysed: Callable[[str], AnalysedRun]) -> None:
    assert layer_lines(analysed("zero_steps")) == []
