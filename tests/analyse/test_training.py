from __future__ import annotations

import numpy as np

from bnprobe.analyse.training import unreached_layers, untrained_elements
from tests.synthetic_runs import residual_recording


def test_where_an_optimizer_moves_free_tensors_nothing_is_known() -> None:
    made = residual_recording(steps=20)
    made.by_snapshot["forgotten_elements"] = np.ones(len(made.layers))
    assert untrained_elements(made.run())[0].sum() == len(made.layers)
    made.parameters[0]["parameter_layer"] = ""
    assert np.isnan(untrained_elements(made.run())[0]).all()
    made.update_norm[0, 0] = 0.0  # a rate that begins at zero
    assert np.isnan(untrained_elements(made.run())[0]).all()
    made.update_norm[:, 0] = 0.0  # one that never moves was replaced, and its optimizer does not know
    assert untrained_elements(made.run())[0].sum() == len(made.layers)


def test_a_layer_without_gradient_in_a_run_whose_gradients_are_not_finite_is_not_called_unreached() -> None:
    made = residual_recording(steps=20)
    made.gradient_norm[:] = np.nan
    made.loss[:] = np.nan
    assert not unreached_layers(made.run()).any()


def test_an_end_that_nothing_uses_is_not_cut_off_and_several_are() -> None:
    made = residual_recording(steps=20)
    owners = [parameter["parameter_layer"] for parameter in made.parameters]
    last = [i for i, owner in enumerate(owners) if owner == "stage3.block3.conv2"]
    made.gradient_norm[:, last] = np.nan
    assert not unreached_layers(made.run()).any()
    block = [i for i, owner in enumerate(owners) if owner.startswith("stage3.block3")]
    made.gradient_norm[:, block] = np.nan
    made.update_norm[:, block] = 0.0
    assert unreached_layers(made.run()).sum() == 2
    first = residual_recording(steps=20)
    first.gradient_norm[:, [i for i, owner in enumerate(owners) if owner == "conv1"]] = np.nan
    first.update_norm[:, [i for i, owner in enumerate(owners) if owner == "conv1"]] = 0.0
    assert unreached_layers(first.run()).sum() == 1


def test_what_an_optimizer_moved_was_reached_by_a_gradient_whose_norm_is_not_known() -> None:
    made = residual_recording(steps=20)
    first = [i for i, parameter in enumerate(made.parameters) if parameter["parameter_layer"] == "conv1"]
    made.gradient_norm[:, first] = np.nan
    assert not unreached_layers(made.run()).any()
