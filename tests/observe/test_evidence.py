"""What the recorder notes for the diagnosis: gradients in place, modes, squashing, rows, batch norms, parameters nobody trains."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.analyse.training import untrained_elements
from bnprobe.store.reader import Run
from tests.observe.conftest import Comparison
from tests.suites import shortened

Compare = Callable[..., Comparison]


def total_gradient(run: Run) -> np.ndarray:
    return np.sqrt(np.nansum(run["parameter_gradient_norm"] ** 2, axis=1))


def said(ran: Comparison, word: str) -> list[float]:
    return [json.loads(line.removeprefix(word)) for line in ran.plain.stdout.splitlines() if line.startswith(f"{word} ")]


@pytest.mark.parametrize("kind", ["plain", "zeroed", "accumulating"])
def test_cleared_gradients_leave_nothing(compare: Compare, kind: str) -> None:
    assert compare(f"evidence {kind}").run["stale_gradient_norm"].tolist() == [0.0] * 6


def test_gradients_that_stay_are_those_of_the_step_before(compare: Compare) -> None:
    run = compare("evidence no_zero_grad").run
    np.testing.assert_allclose(run["stale_gradient_norm"][1:], total_gradient(run)[:-1], rtol=1e-6)
    assert run["stale_gradient_norm"][0] == 0.0


@pytest.mark.parametrize(
    "program", shortened(["gan", "lbfgs", "grad_scaler", "optimizer_in_backward", "gan_joint", "wgan_gp 0 none", "two_optimizers"], 4)
)
def test_what_another_optimizer_leaves_in_place_does_not_count(compare: Compare, program: str) -> None:
    found = compare(program).run["stale_gradient_norm"]
    assert np.nanmax(found, initial=0.0) == 0.0


@pytest.mark.parametrize("program", ["manual_updates", "autograd_grad_sgd"])
def test_a_hand_written_update_leaves_it_open(compare: Compare, program: str) -> None:
    assert not (compare(program).run["stale_gradient_norm"][1:] > 0).any()


def test_gradients_that_stay_where_weights_are_moved_by_hand(compare: Compare) -> None:
    run = compare("uncleared_by_hand stays").run
    np.testing.assert_allclose(run["stale_gradient_norm"][1:], total_gradient(run)[:-1], rtol=1e-6)


def test_gradients_that_are_gathered_by_hand_are_none_that_stay(compare: Compare) -> None:
    assert not (compare("uncleared_by_hand gathered").run["stale_gradient_norm"] > 0).any()


@pytest.mark.parametrize("program", ["gan_by_hand", "by_hand_first"])
def test_what_is_moved_by_hand_in_turn_or_gathered_later_leaves_nothing(compare: Compare, program: str) -> None:
    assert np.nanmax(compare(program).run["stale_gradient_norm"], initial=0.0) == 0.0


def test_softmax_before_a_loss_that_applies_it(compare: Compare) -> None:
    assert compare("evidence squashed").run["softmax_twice"].tolist() == [1, 1, 1, -1, -1, 1]
    assert compare("evidence plain").run["softmax_twice"].tolist() == [0, 0, 0, -1, -1, 0]


@pytest.mark.parametrize(("kind", "modes"), [("batch_norm", (2, 0, 1)), ("evaluating", (0, 2, 0)), ("plain", (0, 0, 1))])
def test_modes(compare: Compare, kind: str, modes: tuple[int, int, int]) -> None:
    run = compare(f"evidence {kind}").run
    assert [tuple(run[name]) for name in ("modules_training", "modules_evaluating", "model_training")] == [(mode,) * 6 for mode in modes]


@pytest.mark.parametrize(("kind", "norms"), [("batch_norm", ["1"]), ("repeated", ["norm", "norm:2"])])
@pytest.mark.parametrize("compiled", [True, False])
def test_the_gap_is_what_evaluation_would_change(compare: Compare, kind: str, norms: list[str], compiled: bool) -> None:
    ran = compare(f"evidence {kind}", compiled=compiled)
    run, places = ran.run, [layer.name for layer in ran.run.layers]
    found = run["batch_norm_gap"][:, [places.index(name) for name in norms]]
    np.testing.assert_allclose(found.ravel(), said(ran, "gap"), rtol=1e-4)
    assert (run["batch_norm_values"][:, places.index(norms[0])] == 8).all()
    assert np.isnan(np.delete(run["batch_norm_gap"], [places.index(name) for name in norms], axis=1)).all()


def test_the_first_batch_of_an_evaluation_is_compared_with_the_running_statistics(compare: Compare) -> None:
    ran = compare("evidence validated")
    gap = ran.run["batch_norm_evaluation_gap"]
    assert gap[-1, 2] == pytest.approx(said(ran, "evaluation_gap")[0], rel=1e-4)
    assert np.isfinite(gap).sum() == 1
    assert ran.run["evaluation_batch_size"][-1] == 8
    assert ran.recorded.stdout == ran.plain.stdout


def test_a_batch_norm_in_evaluation_mode_has_no_batch_statistics(compare: Compare) -> None:
    assert np.isnan(compare("evidence evaluating").run["batch_norm_gap"]).all()


def test_calls_within_one_forward_are_counted_apart_from_calls_of_the_model(compare: Compare) -> None:
    repeated, siamese = compare("evidence repeated").run, compare("siamese").run
    assert repeated["layer_repeat"].tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert siamese["layer_repeat"].max() == 0 < siamese["layer_call"].max()


def test_equal_rows(compare: Compare) -> None:
    equal, sound = compare("evidence equal_rows").run["row_difference"], compare("evidence plain").run["row_difference"]
    assert (equal[:, 0] < 1e-6).all()  # of the hidden layer; the classes tell those of the last one apart
    assert (equal[:, 2] > 0.05).all()
    assert (sound[:, [0, 2]] > 0.1).all() and np.isnan(sound[:, [1, 3]]).all()


def test_parameters_that_nobody_trains(compare: Compare) -> None:
    elements = {kind: [np.nansum(compare(f"evidence {kind}").run[f"{name}_elements"], axis=1)[0] for name in ("frozen", "forgotten")]
                for kind in ("plain", "frozen", "forgotten")}  # fmt: skip
    assert elements == {"plain": [0, 0], "frozen": [56, 0], "forgotten": [0, 56]}


@pytest.mark.parametrize("program", ["flat_buffer", "manual_updates", "functional_training"])
def test_where_parameters_are_trained_behind_the_modules_backs_nothing_is_said_of_them(compare: Compare, program: str) -> None:
    assert not (untrained_elements(compare(program).run)[0] > 0).any()


def test_types_and_origins(compare: Compare) -> None:
    run = compare("evidence repeated").run
    assert run["layer_made_by"].tolist() == ["", "", "", "add", "", "tanh", ""]
    assert set(run["layer_dtype"]) == set(run["parameter_dtype"]) == {"float32"}
    assert set(compare("precision bfloat16").run["parameter_dtype"]) == {"bfloat16"}


@pytest.mark.parametrize(("budget", "times"), [(0.0, [3]), (1e9, [])])
def test_a_model_that_was_trained_between_two_measured_steps_is_named(compare: Compare, budget: float, times: list[int]) -> None:
    gaps = compare("trained_between", budget=budget, free_seconds=0.0).run.gaps
    assert [gap.times for gap in gaps if "between two measured steps" in gap.reason and gap.subject.startswith("Adam")] == times
