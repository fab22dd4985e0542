"""Ways to spread a training over ranks: recorded, the same weights, and merged into what one process saw."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnprobe.diagnose.ranks import between
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.ranks import read_trainings
from tests.ranks.agreement import AT_LEAST, worst_disagreement

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
#: Of shards no rank knows the rows of a weight, and of gathered ones not what is untrained.
OF_WHOLE_WEIGHTS = ("row_difference", "frozen_elements", "forgotten_elements")


def recorded(launch: Callable[..., Any], strategy: str) -> tuple[Any, Any]:
    """Record two ranks and one process, and see that the recorder left the weights alone."""
    with_us = launch("strategies.py", strategy, ranks=2, options=("--strict",))
    without = launch("strategies.py", strategy, ranks=2, options=None, folder="plain")
    assert with_us.status == without.status == 0, with_us.stderr + without.stderr
    found = [sorted(re.findall(r"weights \d [-+.\de]+", ran.stdout)) for ran in (with_us, without)]
    assert found[0] == found[1] != []
    one = launch("strategies.py", strategy, folder="one")
    return read_trainings(with_us.files)[0], read_trainings(one.files)[0]


@pytest.mark.parametrize("strategy", ["fsdp", "no_sync", "accelerate", "fabric"])
def test_samples_spread_over_ranks(launch: Callable[..., Any], strategy: str) -> None:
    needed = {"accelerate": "accelerate", "fabric": "lightning"}.get(strategy)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    run, whole = recorded(launch, strategy)
    assert not any("without an optimizer" in gap.reason for gap in run.gaps), run.gaps
    worst, compared = worst_disagreement(run, whole, but=OF_WHOLE_WEIGHTS)
    assert compared >= AT_LEAST
    assert worst[0] < 1e-6, worst
    assert np.nanmax(run["forgotten_elements"]) == 0


def test_layers_spread_over_ranks(launch: Callable[..., Any]) -> None:
    run, whole = recorded(launch, "tensor")
    assert run.batches == [[0, 1]]
    found = between(RunAnalysis(run))
    assert found is not None
    assert [(one.id, one.severity) for one in found.remarks] == [("same-batches", "info")], "that is what tensor parallel ranks are for"
    np.testing.assert_allclose(run["loss"], whole["loss"], rtol=1e-12)
    for name in ("parameter_gradient_norm", "weight_norm", "update_norm"):
        np.testing.assert_allclose(run[name], whole[name], rtol=1e-6)
    places = {layer.name: place for place, layer in enumerate(whole.layers)}
    for place, layer in enumerate(run.layers):
        for part in ("common", "between", "within"):
            mine, its = (one[f"activation_{part}_energy"][:, at] for one, at in ((run, place), (whole, places[layer.name])))
            size = whole["activation_rms"][:, places[layer.name]].astype(float) ** 2
            assert (np.abs(mine - its) <= 1e-6 * size).all(), (layer.name, part)


def test_gradients_of_which_each_rank_has_a_summand(launch: Callable[..., Any]) -> None:
    run, whole = recorded(launch, "sequence")
    np.testing.assert_allclose(run["loss"], whole["loss"], rtol=1e-5)
    names = [parameter.name for parameter in run.parameters]
    assert names == [parameter.name for parameter in whole.parameters] == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    for name in ("weight_norm", "update_norm"):
        np.testing.assert_allclose(run[name], whole[name], rtol=1e-4, err_msg=name)
    assert np.isnan(run["parameter_gradient_norm"][:, :2]).all()
    np.testing.assert_allclose(run["parameter_gradient_norm"][:, 2:], whole["parameter_gradient_norm"][:, 2:], rtol=1e-4)
    assert [gap.subject for gap in run.gaps if "summand" in gap.reason] == [
        "norms of gradients that lie on ranks otherwise than their parameters"
    ]
