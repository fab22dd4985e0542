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
    made.gradient_norm[:, 0] = np.nan  # one that never had a gradient was replaced, and its optimizer does not know
    assert untrained_elements(made.run())[0].sum() == len(made.layers)


def test_a_layer_without_gradient_in_a_run_whose_gradients_are_not_finite_is_not_called_unreached() -> None:
    made = residual_recording(steps=20)
    made.gradient_norm[:] = np.nan
    made.loss[:] = np.nan
    assert not unreached_layers(made.run()).any()
