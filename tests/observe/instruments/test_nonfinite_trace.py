"""Places of values that are not finite, born at steps that are not measured, and what else is known of such steps."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.torch_private import TELLS_OF_SAVED_HOOKS
from tests.observe.conftest import Comparison
from tests.suites import shortened

Compare = Callable[..., Comparison]
AT = 100


@pytest.mark.parametrize(
    ("kind", "layer", "place", "words"),
    shortened(
        [
            ("module", "scale", "scale", "`div`"),
            ("gradient", "second", "second", "most likely at `sqrt`"),
            ("data", "first", "first", "data given to first"),
            ("target", "", "last", "beside the network's output"),
            ("loss", "", "last", "in the loss itself, at its operation `log`, behind last"),
        ],
        1,
    ),
)
@pytest.mark.skipif(not TELLS_OF_SAVED_HOOKS, reason="this torch does not give what a graph keeps")
def test_the_place_is_told_though_its_step_was_not_measured(compare: Compare, kind: str, layer: str, place: str, words: str) -> None:
    ran = compare(f"born_unseen {kind}", budget=0.0, free_seconds=0.0)
    run = ran.run
    assert not run["layers_observed"][AT]
    trace = json.loads(str(run.attributes["nonfinite_origin"]))
    assert (trace["step"], trace["layer"]) == (AT, layer)
    finding = next(iter(diagnose(run)))
    assert (finding.id, finding.step, finding.layers) == ("numerical-fault", AT, (place,))
    assert words in finding.cause


def test_modes_rows_and_norms_are_known_of_steps_that_are_not_measured(compare: Compare) -> None:
    run = compare("born_unseen mode", budget=0.0, free_seconds=0.0).run
    unmeasured = run["layers_observed"] == 0
    assert unmeasured[11 : AT - 5].all()
    assert run["modules_training"].tolist() == [1] * (AT - 5) + [0] * 11
    assert run["modules_evaluating"].tolist() == [0] * (AT - 5) + [1] * 11
    assert run["model_training"].tolist() == [1] * (AT - 5) + [0] * 11
    assert run["loss_rows"].tolist() == [16] * (AT + 6)
    known = np.isfinite(run["gradient_norm"])
    assert known[:15].all()
    measured = np.sqrt(np.nansum(run["parameter_gradient_norm"] ** 2, axis=1))
    np.testing.assert_allclose(run["gradient_norm"][:10], measured[:10], rtol=1e-6)
