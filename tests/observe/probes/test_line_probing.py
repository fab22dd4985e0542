"""Line probes of live trainings: the training is not touched, and what is said of its limits is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnprobe.store.reader import Run
from tests.observe.conftest import Comparison
from tests.observe.programs import CASES
from tests.suites import shortened

Compare = Callable[..., Comparison]

#: The programs that differ most in how a loss comes about and how weights are moved.
FAST = (
    "recurrent",
    "accumulation",
    "lbfgs",
    "grad_scaler",
    "checkpoint reentrant",
    "wgan_gp 10 penalty",
    "scripted_training",
)

#: Programs whose probes have no number, and words of the reason.
WITHOUT = {
    "selective_checkpoint": "dispatch mode",
    "gan": "another step",  # the generator ran before the discriminator's step
    "functional_with_optimizer": "no loss was seen",
    "flat_buffer": "no loss was seen",
    "forward_only duals": "no loss was seen",  # of a forward gradient or a random search none is asked for
    "forward_only search": "no loss was seen",
    "optimizer_in_backward": "inside backward",
    "checkpointed_model": "no forward with gradient was seen",
    "watched_operations": "dispatch mode",
    "watched_for_a_step": "dispatch mode",
    "long_graph": "before the forward",
    "vector_loss": "not one number",
    "profiled": "the script profiles",
    "zero_first_loss": "no ratio",
    "nan_loss": "no ratio",
    "grad_scaler_fused": "no ratio",
    "threads": "in a thread of its own",
    "two_trainings": "in a thread of its own",
    "not_a_leaf": "no forward with gradient was seen",
    "strict_numpy": "did not move what the loss depends on",
    "signed_loss explodes": "no ratio",
    "grad_scaler": "skipped the update",
    "manual_updates": "without an optimizer",
    "hand_written_optimizer": "without an optimizer",
    "autograd_grad_sgd": "without an optimizer",
    "late_optimizer": "without an optimizer",
    "uncleared_by_hand stays": "without an optimizer",
    "uncleared_by_hand gathered": "without an optimizer",
    "gan_by_hand": "without an optimizer",
    "by_hand_first": "without an optimizer",
    "short_lives hand": "without an optimizer",
    "sparse_weight": "no plain tensor",
    "own_dispatch": "no numbers of its own",
    "own_operations": "computed by code of the script",
}

#: Programs that see a line probe, and how.
SEEING = {
    "watched_surroundings": "the projections of remedies ask modules for their weights, by a function that the script watches",
    "profiled": "a profile that begins between a forward and its backward has the operations before the backward twice",
}


def _programs() -> list[Any]:
    programs = [case.program for case in CASES]
    return [pytest.param(program, id=program.replace(" ", "-"), marks=_marks(program)) for program in programs]


def _marks(program: str) -> list[Any]:
    seeing = [pytest.mark.xfail(strict=True, reason=SEEING[program])] if program in SEEING else []
    return seeing if program in FAST else [pytest.mark.slow, *seeing]


@pytest.mark.parametrize("program", _programs())
def test_training_is_untouched(compare: Compare, program: str) -> None:
    ran = compare(program, line_probe=1)
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.status == ran.plain.status
    assert not [gap for gap in ran.run.gaps if "fault of bnprobe" in gap.reason]
    _check_reasons(ran.run, WITHOUT.get(program))


def _check_reasons(run: Run, expected: str | None) -> None:
    reasons = [reason for reason in run["probe_reason"] if reason]
    if expected is None:
        assert reasons == []
    else:
        assert any(expected in reason for reason in reasons)
    numbers = run["probe_reason"] == ""
    assert (run["probe_replay_error"][numbers] == 0.0).all()
    assert (run["probe_forwards"][numbers] <= 10).all()
    assert np.isnan(run["probe_critical_low"][~numbers]).all()


@pytest.mark.parametrize("kind", ["plain", "inside", "autocast", "accumulated"])
def test_points_are_the_losses_that_the_script_computes(compare: Compare, kind: str) -> None:
    ran = compare(f"line_of_sight {kind}", line_probe=1)
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    lines = _said(ran.plain.stdout, "line")
    assert len(lines) == 3
    for step, losses in enumerate(lines):
        probe = int(np.flatnonzero((run["probe_step"] == step) & (run["probe_variant"] == "taken"))[0])
        assert run["probe_loss"][probe] == losses[0]
        found = _points(run, probe)
        for s, loss in zip((1.0, 2.0), losses[1:3], strict=True):
            assert found[s] * losses[0] == pytest.approx(loss, rel=1e-12), s


@pytest.mark.parametrize("program", ["inplace_relu", "accumulation", "recurrent"])
def test_channels_at_zero_are_those_of_the_forward(compare: Compare, program: str) -> None:
    ran = compare(program, line_probe=1, line_probe_channels=True)
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    first = np.flatnonzero(run["probe_point_s"] == 0.0)
    assert first.size
    for point in first:
        step = run["probe_step"][run["probe_point_probe"][point]]
        if step not in run["snapshot"]:
            continue
        snapshot = int(np.flatnonzero(run["snapshot"] == step)[0])
        for index, layer in enumerate(run.layers):
            channels = run.channel_slice(index)
            for name in ("mean", "variance"):
                found, known = run[f"probe_channel_{name}"][point, channels], run[f"channel_{name}"][snapshot, channels]
                if np.isnan(found).all() and (layer.role == "input" or layer.name == "packed"):
                    continue  # the batch itself, which no weight has a part in; an output that the loss does not use
                if program == "accumulation":  # the snapshot holds all micro-steps, a probe the last one
                    assert np.isfinite(found).all() and not np.array_equal(found, known)
                else:
                    np.testing.assert_array_equal(found, known, err_msg=f"{layer.name} {name}")
    last = np.flatnonzero(run["probe_point_s"] == run["probe_point_s"].max())[0]
    if program == "recurrent":  # gates saturate: its signals stay within 1, however far it goes
        assert np.nanmax(np.abs(run["probe_channel_mean"])) <= 1.0
        return
    assert np.nanmax(np.abs(run["probe_channel_mean"][last])) > 10 * np.nanmax(np.abs(run["probe_channel_mean"][first[0]]))


def test_the_projected_update_is_the_one_that_the_remedy_makes(compare: Compare) -> None:
    """The first step of SGD from the same weights, with and without the remedy, has the same line but for rounding."""
    without = compare("convnet contiguous", line_probe=1).run
    with_remedy = compare("convnet contiguous", line_probe=1, remedies=("msr:keep-weights",)).run
    projected = int(np.flatnonzero((without["probe_step"] == 0) & (without["probe_variant"] == "msr"))[0])
    taken = int(np.flatnonzero((with_remedy["probe_step"] == 0) & (with_remedy["probe_variant"] == "taken"))[0])
    one, other = _points(without, projected), _points(with_remedy, taken)
    shared = [s for s in one if s in other and s <= 64.0]
    assert len(shared) >= 4
    for s in shared:
        assert one[s] == pytest.approx(other[s], rel=1e-4), s
    assert one[8.0] != pytest.approx(_points(without, projected - 1)[8.0], rel=1e-3)  # and it is another line than the update taken


@pytest.mark.slow
def test_trouble_is_probed_at_once(compare: Compare) -> None:
    """Every 1000th step is asked for; the loss rises long before that."""
    run = compare("rising_loss", line_probe=1000).run
    rises = next(event.step for event in run.events if "its noise" in event.text)
    later = [int(step) for step in run["probe_step"] if step % 1000]
    assert later and rises < min(later) <= rises + 2


@pytest.mark.parametrize(
    "optimizer",
    shortened(
        [
            "SGD",
            "SGD weight_decay=0.1",
            "SGD momentum=0.9",
            "SGD momentum=0.9,weight_decay=0.1",
            "SGD momentum=0.9,nesterov=True",
            "SGD momentum=0.9,nesterov=True,weight_decay=0.1",
            "Adam",
            "Adam weight_decay=0.1",
            "AdamW weight_decay=0.1",
            "RMSprop",
        ],
        3,
    ),
)
def test_the_limit_of_a_quadratic_loss_is_within_the_interval(compare: Compare, optimizer: str) -> None:
    ran = compare(f"quadratic {optimizer}", line_probe=1)
    run = ran.run
    limits = _said(ran.plain.stdout, "limit")
    assert run["probe_reason"].tolist() == [""] * len(limits)
    for limit, low, high in zip(limits, run["probe_critical_low"], run["probe_critical_high"], strict=True):
        if limit > 0:
            assert low <= limit <= high <= 2 * low, (limit, low, high)
        else:  # an uphill step: momentum has overshot
            assert low == 0.0 and high <= 2.0**-10


def _points(run: Run, probe: int) -> dict[float, float]:
    mine = run["probe_point_probe"] == probe
    return dict(zip(run["probe_point_s"][mine].tolist(), run["probe_point_ratio"][mine].tolist(), strict=True))


def _said(stdout: str, word: str) -> list[Any]:
    return [json.loads(line.removeprefix(word)) for line in stdout.splitlines() if line.startswith(f"{word} ")]
