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

Compare = Callable[..., Comparison]

#: The programs that differ most in how a loss comes about and how weights are moved.
FAST = (
    "inplace_relu",
    "gpt",
    "recurrent",
    "accumulation",
    "gan",
    "gan_joint",
    "lbfgs",
    "lightning_closure",
    "autocast",
    "grad_scaler",
    "checkpoint reentrant",
    "wgan_gp 10 penalty",
    "randomness",
    "watched_operations",
    "scripted_training",
    "ema",
)

#: Programs whose probes have no number, and words of the reason.
WITHOUT = {
    "gan": "another step",  # the generator ran before the discriminator's step
    "functional_with_optimizer": "no loss was seen",
    "flat_buffer": "no loss was seen",
    "optimizer_in_backward": "inside backward",
    "checkpointed_model": "no module was called",
    "watched_operations": "dispatch mode",
    "vector_loss": "not one number",
    "zero_first_loss": "no ratio",
    "nan_loss": "no ratio",
    "grad_scaler_fused": "no ratio",
}


def _programs() -> list[Any]:
    programs = [case.program for case in CASES]
    return [
        pytest.param(program, id=program.replace(" ", "-"), marks=[] if program in FAST else [pytest.mark.slow]) for program in programs
    ]


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


@pytest.mark.parametrize(
    "optimizer",
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
