"""Attention that takes one key: named where the training fails with it, and of no training that learns."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.attention import saturated_attention
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording

LEVEL = np.full(60, 2.0)
FALLING = np.geomspace(2.0, 0.01, 60)
STANDING = np.linspace(2.0, 0.9, 60)
RISING = np.concatenate([np.geomspace(2.0, 0.5, 20), np.linspace(0.5, 9.0, 40)])


def attending(loss: np.ndarray, first: float, last: float, labels: float = np.nan, norm: float = 8.0) -> RunAnalysis:
    made = residual_recording(steps=60)
    made.parameters[0] |= {"parameter_shape": "192x64", "parameter_size": 192 * 64}  # torch draws it with a norm of 8
    made.weight_norm[:, 0] = norm
    made.by_step["loss"] = loss + 1e-3 * np.random.default_rng(0).standard_normal(60)
    deviation = np.full(60, np.nan)
    deviation[[0, 1, 2, 5, 10, 20, 50]] = np.geomspace(first, last, 7)
    made.by_step["attention_logit_deviation"], made.by_step["attention_logit_bound"] = deviation, 8 * deviation
    made.by_step["target_labels"] = np.full(60, labels)
    return RunAnalysis(made.run())


@pytest.mark.parametrize(("loss", "first", "last", "step"), [(LEVEL, 9.0, 9.0, 0), (RISING, 0.5, 20.0, 10)], ids=["at first", "grown"])
def test_it_is_named_where_the_training_fails(loss: np.ndarray, first: float, last: float, step: int) -> None:
    found = saturated_attention(attending(loss, first, last))
    assert found is not None
    assert found.severity == "error"
    assert found.step == step or first < 1 <= step <= found.step


def test_a_network_that_was_trained_before_may_have_large_logits_at_first() -> None:
    assert saturated_attention(attending(LEVEL / 2, 9.0, 9.0)) is not None  # whether it had learned is not known
    assert saturated_attention(attending(LEVEL / 2, 9.0, 9.0, labels=32.0)) is None
    found = saturated_attention(attending(LEVEL, 9.0, 9.0, labels=32.0))
    assert found is not None and "before the first update" in found.cause


def test_one_that_learns_a_part_is_warned_of_what_was_large_at_first() -> None:
    found = saturated_attention(attending(STANDING, 9.0, 9.0))
    assert found is not None
    assert found.severity == "warning"
    assert saturated_attention(attending(STANDING, 0.5, 20.0)) is None  # it came to attend sharply as it learned


@pytest.mark.parametrize("norm", [14.0, 6.0, np.nan])
def test_fine_tuning_that_learns_a_part_begins_with_attention_that_is_sharp_on_purpose(norm: float) -> None:
    assert saturated_attention(attending(STANDING, 9.0, 9.0, norm=norm)) is None
    assert saturated_attention(attending(LEVEL, 9.0, 9.0, norm=norm)) is not None


@pytest.mark.parametrize(("least", "is_named"), [(9.0, True), (np.nan, True), (0.4, False)], ids=["both", "not recorded", "one"])
def test_one_sharp_attention_beside_one_that_weighs_its_keys_holds_up_no_training(least: float, is_named: bool) -> None:
    run = attending(LEVEL, 9.0, 9.0)
    run.recorded.__dict__["attention_logit_deviation_least"] = np.full(60, least)
    assert (saturated_attention(run) is not None) == is_named


def test_growth_that_is_large_enough_at_some_threshold_is_so_at_looser_ones() -> None:
    run = attending(RISING, 0.7, 3.5)
    found = [saturated_attention(run.relaxed(relaxation)) is not None for relaxation in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found)
    assert found == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("loss", "first", "last"),
    [(FALLING, 9.0, 9.0), (FALLING, 0.5, 20.0), (LEVEL, 0.5, 0.5), (LEVEL, np.nan, np.nan)],
    ids=["learns", "learns to attend sharply", "small", "no attention"],
)
def test_it_is_not_named_else(loss: np.ndarray, first: float, last: float) -> None:
    assert saturated_attention(attending(loss, first, last)) is None
