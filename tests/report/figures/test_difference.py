from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.difference import difference_map
from bnprobe.store.reader import read_run
from tests.synthetic_runs import Recording, residual_recording


def drawn(folder: Path, one: Recording, other: Recording, key: str = "activation-rms"):
    runs = analyse_runs([read_run(made.write(folder / f"{name}.h5")) for name, made in (("one", one), ("other", other))])
    return difference_map((runs[0], runs[1]), (runs[0].fields[key], runs[1].fields[key]), 300)


def test_layers_are_matched_by_name_and_sizes_by_their_power_of_ten(tmp_path: Path) -> None:
    one, other = residual_recording(steps=6, blocks=1), residual_recording(steps=6, blocks=1)
    other.activation.rms[:] = 100 * one.activation.rms
    other.layers[2]["layer"] = "another"
    figure = drawn(tmp_path, one, other)
    names = [row[0] for row in figure.data[0].customdata]
    assert names == [layer["layer"] for layer in other.layers if layer["layer"] != "another"]
    assert np.allclose(figure.data[0].z, 2.0, atol=1e-5)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-2.0, 2.0)
    assert list(figure.data[0].colorbar.ticktext) == ["×10<sup>−2</sup>", "×10<sup>−1</sup>", "equal", "×10", "×10<sup>2</sup>"]


def test_layers_of_one_name_are_matched_by_their_channels(tmp_path: Path) -> None:
    one, other = residual_recording(steps=6, blocks=1), residual_recording(steps=6, blocks=1)
    small, large = one.index("conv1"), one.index("stage3.block1.conv1")
    for made in (one, other):
        made.layers[large]["layer"] = "conv1"
    other.activation.rms[:] = one.activation.rms
    other.activation.rms[:, large] = 100 * one.activation.rms[:, large]
    figure = drawn(tmp_path, one, other)
    z, rows = np.asarray(figure.data[0].z), figure.data[0].meta
    assert np.allclose(z[rows.index(small)], 0.0, atol=1e-5)
    assert np.allclose(z[rows.index(large)], 2.0, atol=1e-5)


def test_fractions_are_subtracted(tmp_path: Path) -> None:
    one, other = residual_recording(steps=6, blocks=1), residual_recording(steps=6, blocks=1)
    one.activation.kappa[:], other.activation.kappa[:] = 0.25, 0.5
    figure = drawn(tmp_path, one, other, "common-mode")
    assert np.allclose(figure.data[0].z, 0.25, atol=1e-5)
    assert "minus the first" in figure.data[0].colorbar.title.text


def test_only_steps_that_both_measured(tmp_path: Path) -> None:
    figure = drawn(tmp_path, residual_recording(steps=6, blocks=1), residual_recording(steps=9, blocks=1))
    assert list(figure.data[0].text[0]) == list(range(6))


def test_networks_without_a_layer_in_common_have_none(tmp_path: Path) -> None:
    one, other = residual_recording(steps=6, blocks=1), residual_recording(steps=6, blocks=1)
    for layer in other.layers:
        layer["layer"] = f"other.{layer['layer']}"
    assert drawn(tmp_path, one, other) is None


@pytest.mark.parametrize("key", ["activation-rms", "update-ratio"])
def test_a_run_that_diverges_does_not_set_the_scale(analysed: Callable[[str], AnalysedRun], key: str) -> None:
    lost, healthy = analysed("exploding"), analysed("healthy")
    figure = difference_map((healthy, lost), (healthy.fields[key], lost.fields[key]), 300)
    before = [one for one in [lost.divergence] if one is not None]
    assert before
    assert figure is None or figure.data[0].zmax < 20
