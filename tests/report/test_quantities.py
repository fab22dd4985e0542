from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bnprobe.report.analysed import analyse_runs
from bnprobe.report.figures.heatmap import has_gaps
from bnprobe.report.panels import panels_of
from bnprobe.report.quantities import QUANTITIES, field_of, shared_limits, signal_nonfinite
from bnprobe.store.reader import read_run
from tests.synthetic_runs import exploding, residual_recording

BY_KEY = {quantity.key: quantity for quantity in QUANTITIES}


def test_what_was_not_finite_is_told_from_what_was_not_observed(tmp_path: Path) -> None:
    made = residual_recording(steps=12)
    made.observed[5] = False
    made.activation.rms[7, 3] = np.nan
    made.activation.rms[8, 4] = np.inf
    run = read_run(made.write(tmp_path / "run.h5"))
    field = field_of(run, BY_KEY["activation-rms"])
    assert np.argwhere(field.nonfinite).tolist() == [[7, 3], [8, 4]]
    assert np.isnan(field.values[5]).all()
    assert not np.isfinite(field.values[field.nonfinite]).any()


def test_a_norm_that_turns_nan_is_not_finite(tmp_path: Path) -> None:
    made = residual_recording(steps=12)
    made.gradient_norm[9:] = np.nan
    made.update_norm[9:] = np.nan
    field = field_of(read_run(made.write(tmp_path / "run.h5")), BY_KEY["update-ratio"])
    with_weights = ~np.isnan(field.values[0])
    assert with_weights.sum() == 20
    assert field.nonfinite[9:, with_weights].all()
    assert not field.nonfinite[:, ~with_weights].any()


def test_a_step_of_another_optimizer_is_no_fault(tmp_path: Path) -> None:
    run = read_run(residual_recording(steps=12).write(tmp_path / "run.h5"))
    turns = np.where(np.arange(12)[:, None] % 2 == [0, 1], 0.1, np.nan)
    for name in ("parameter_gradient_norm", "update_norm"):
        run.variables[name] = np.where(np.isnan(turns[:, :1]), np.nan, run.variables[name])
    run.variables["learning_rate"] = turns
    taking_turns = replace(run, groups=[run.groups[0], "Adam#2[0]"], parameters=[one._replace(group=0) for one in run.parameters])
    field = field_of(taking_turns, BY_KEY["update-ratio"])
    assert np.isfinite(field.values[::2]).any() and np.isnan(field.values[1::2]).all()
    assert not field.nonfinite.any()


def test_an_exact_zero_is_kept_as_such(tmp_path: Path) -> None:
    made = residual_recording(steps=4)
    made.activation.rms[2, 5] = 0.0
    field = field_of(read_run(made.write(tmp_path / "run.h5")), BY_KEY["activation-rms"])
    assert np.isneginf(field.values[2, 5])
    assert not field.nonfinite.any()


def test_a_file_without_layer_variables_has_fields_without_values(tmp_path: Path) -> None:
    run = read_run(residual_recording(steps=4).write(tmp_path / "run.h5"))
    for name in list(run.variables):
        if name.startswith(("activation", "parameter_gradient", "update", "weight_norm")):
            del run.variables[name]
    for quantity in QUANTITIES:
        field = field_of(run, quantity)
        assert field.values.shape == (4, 40)
        assert np.isnan(field.values).all()
        assert not field.nonfinite.any()
    assert not signal_nonfinite(run, "activation").any()


def test_a_layer_without_space_has_no_share_that_is_constant_in_it(tmp_path: Path) -> None:
    run = read_run(residual_recording(steps=4).write(tmp_path / "run.h5"))
    flat = [layer.kind in ("pooling", "linear") for layer in run.layers]
    field = field_of(run, BY_KEY["spatial-common-mode"])
    assert sum(flat) == 2 and np.array_equal(np.isnan(field.values), np.broadcast_to(flat, field.values.shape))
    assert np.nanmax(field.values) < 1.0
    assert not has_gaps(field), "there is nothing to observe"


def test_a_layer_without_space_has_none_once_its_signal_overflows(tmp_path: Path) -> None:
    run = read_run(residual_recording(steps=4).write(tmp_path / "run.h5"))
    run.variables["activation_within_energy"][2:] = np.inf
    assert np.isnan(field_of(run, BY_KEY["spatial-common-mode"]).values[:, -1]).all()


def test_a_network_without_space_has_no_map_of_it(tmp_path: Path) -> None:
    made = residual_recording(steps=4)
    made.activation.within_share[:] = 0.0
    panels = panels_of(analyse_runs([read_run(made.write(tmp_path / "run.h5"))]))
    shown = {panel.id for panel in panels.maps}
    assert not panels.has_space
    assert "map-common-mode-0" in shown and "map-spatial-common-mode-0" not in shown


def test_limits_are_shared_and_not_moved_by_one_runaway(tmp_path: Path) -> None:
    calm, wild = residual_recording(steps=40), residual_recording(steps=40)
    wild.activation.rms[-1, 0] = 1e30
    runs = [read_run(made.write(tmp_path / f"{name}.h5")) for name, made in (("calm", calm), ("wild", wild))]
    low, high = shared_limits([field_of(run, BY_KEY["activation-rms"]) for run in runs])
    assert low <= 0 <= high < 5
    assert (low, high) == (round(low), round(high))


def test_what_comes_after_the_divergence_does_not_stretch_the_scale(tmp_path: Path) -> None:
    made = residual_recording(steps=40)
    made.loss[10:] = 1e9
    made.activation.rms[11:] = 1e20
    run = read_run(made.write(tmp_path / "run.h5"))
    field = field_of(run, BY_KEY["activation-rms"])
    assert field.diverged == 10
    assert shared_limits([field])[1] < 5


def test_a_share_keeps_its_own_limits(tmp_path: Path) -> None:
    run = read_run(residual_recording(steps=4).write(tmp_path / "run.h5"))
    assert shared_limits([field_of(run, BY_KEY["dead-share"])]) == (0.0, 1.0)


def test_what_a_module_received_has_no_weights_to_be_updated(tmp_path: Path) -> None:
    made = residual_recording(blocks=1)
    place = next(i for i, layer in enumerate(made.layers) if i and layer["layer_kind"] == "convolution")
    made.layers[place - 1] |= {"layer": f"{made.layers[place]['layer']}:input", "layer_role": "input"}
    run = read_run(made.write(tmp_path / "run.h5"))
    ratio = field_of(run, BY_KEY["update-ratio"])
    assert np.isnan(ratio.values[:, place - 1]).all() and not ratio.nonfinite[:, place - 1].any()
    assert np.isfinite(ratio.values[:, place]).all()


def test_channels_of_a_layer_that_is_not_finite_are_not_called_alive(tmp_path: Path) -> None:
    run = read_run(exploding(tmp_path / "run.h5"))
    dead, size = (field_of(run, BY_KEY[key]) for key in ("dead-share", "activation-rms"))
    assert size.nonfinite.any()
    assert np.array_equal(dead.nonfinite, size.nonfinite) and np.isnan(dead.values[size.nonfinite]).all()
