from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse import updates
from tests.synthetic_runs import residual_recording


def test_ratios_by_parameter_and_by_layer() -> None:
    made = residual_recording(steps=2)
    bias = {**made.parameters[0], "parameter": "conv1.bias", "parameter_size": 16}
    made.parameters.append(bias)
    for name in ("gradient_norm", "weight_norm", "update_norm"):
        values = getattr(made, name)
        setattr(made, name, np.concatenate([values, np.zeros((2, 1))], axis=1))
    made.weight_norm[:, 0], made.update_norm[:, 0], made.gradient_norm[:, 0] = 4.0, 0.3, 6.0
    made.weight_norm[:, -1], made.update_norm[:, -1], made.gradient_norm[:, -1] = [0.0, 3.0], 0.4, 8.0
    made.layers.append({**made.layers[0], "layer": "conv1:2", "layer_call": 1})
    for signal in (made.activation, made.gradient):
        for field in ("rms", "kappa", "within_share", "zeros"):
            values = getattr(signal, field)
            setattr(signal, field, np.concatenate([values, values[:, :1]], axis=1))
    made.dead = np.zeros((2, len(made.layers)))
    made.snapshots = []
    run = made.run()

    ratio = updates.update_ratio(run)
    assert ratio[:, 0] == pytest.approx([0.075, 0.075])
    assert ratio[:, -1] == pytest.approx([np.inf, 0.4 / 3.0])  # a bias starts at zero
    by_layer = updates.layer_update_ratio(run)
    assert by_layer[:, 0] == pytest.approx([0.5 / 4.0, 0.5 / 5.0])
    assert by_layer[:, -1] == pytest.approx(by_layer[:, 0])  # the second call is the same module
    assert np.isnan(by_layer[:, made.index("relu1")]).all()
    assert updates.layer_gradient_norm(run)[0, 0] == pytest.approx(10.0)


def test_what_was_not_observed_is_a_gap() -> None:
    made = residual_recording(steps=3)
    made.observed[1] = False
    run = made.run()
    assert np.isnan(updates.update_ratio(run)[1]).all()
    assert np.isnan(updates.layer_update_ratio(run)[1]).all()
    assert np.isfinite(updates.total_norm(run["parameter_gradient_norm"])).tolist() == [True, False, True]


def test_total_norm_of_infinite_and_of_no_parameters() -> None:
    assert updates.total_norm(np.array([[3.0, 4.0], [np.nan, 2.0], [np.inf, 1.0]])) == pytest.approx([5.0, 2.0, np.inf])
    assert np.isnan(updates.total_norm(np.empty((2, 0)))).all()


def test_a_module_of_vectors_alone_is_measured_against_unit_entries() -> None:
    made = residual_recording(steps=5)
    made.parameters[0] |= {"parameter_shape": "(16,)"}
    made.weight_norm[:, 0], made.update_norm[:, 0] = 0.1, 0.2
    assert updates.module_step_size(made.run())[made.parameters[0]["parameter_layer"]] == pytest.approx(0.2 / 4)


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ("other", "", 1),
        ("other", "1", 1),
        ("other", "16x1x1", 16),
        ("other", "1x16", 16),
        ("other", "4x16", 4 / 3),
        ("linear", "1x16", 1 / 3),
    ],
    ids=["a number", "one entry", "a gain by channel", "a gain", "a matrix of its own", "a layer with one output"],
)
def test_the_factor_of_a_branch_that_starts_at_zero_is_measured_against_unit_entries(kind: str, shape: str, size: float) -> None:
    made = residual_recording(steps=5)
    made.layers[0] |= {"layer_kind": kind}
    made.parameters[0] |= {"parameter_shape": shape}
    made.weight_norm[:, 0], made.update_norm[:, 0] = 0.01, 0.1
    sizes = updates.module_step_size(made.run())[made.parameters[0]["parameter_layer"]]
    assert sizes == pytest.approx(0.1 / size**0.5)
