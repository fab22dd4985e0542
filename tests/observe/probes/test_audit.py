"""An audit says what the model itself would say, and the training does not notice it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnprobe.observe.options import FIGURES
from tests.observe.conftest import Comparison
from tests.observe.programs import CASES

Compare = Callable[..., Comparison]
#: Programs of the short suite; the long one has all.
FAST = ("convnet contiguous", "accumulation", "checkpoint reentrant")
#: Programs that see a tape: as they see a line probe.
SEEING = {
    "profiled": "a profile that begins between a forward and its backward has the operations before the backward twice",
    "watched_surroundings": "the projections of remedies ask modules for their weights, by a function that the script watches",
}


def _programs() -> list[Any]:
    programs = []
    for program in dict.fromkeys(case.program for case in CASES):
        marks = [] if program in FAST else [pytest.mark.slow]
        if program in SEEING:
            marks.append(pytest.mark.xfail(strict=False, reason=SEEING[program]))
        programs.append(pytest.param(program, id=program.replace(" ", "-"), marks=marks))
    return programs


@pytest.mark.parametrize("program", _programs())
def test_training_is_untouched(compare: Compare, program: str) -> None:
    """Beside the figures of papers, which look at the same steps."""
    ran = compare(program, audit=1, figures=FIGURES, figures_at=(0, 1))
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.status == ran.plain.status
    assert not [gap for gap in ran.run.gaps if "fault of bnprobe" in gap.reason]
    known = ran.run["audit_reason"] == ""
    assert (ran.run["audit_replay_error"][known] == 0.0).all()


@pytest.mark.parametrize("kind", ["none", pytest.param("module", marks=pytest.mark.slow), pytest.param("function", marks=pytest.mark.slow)])
def test_numbers_are_those_of_the_model_itself(compare: Compare, kind: str) -> None:
    ran = compare(f"audited {kind}", audit=1)
    assert ran.recorded.stdout == ran.plain.stdout
    line = next(line for line in ran.plain.stdout.splitlines() if line.startswith("reference"))
    running, evaluated, gap, coupling = map(float, line.split()[1:])
    run = ran.run
    head = [layer.name for layer in run.layers].index("head")
    assert run["audit_reason"].tolist() == [""] * run.steps
    assert run["audit_loss_running"][-1] == pytest.approx(running, rel=1e-5)
    assert run["audit_loss_evaluation"][-1] == pytest.approx(evaluated, rel=1e-5)
    assert run["audit_evaluation_gap"][-1, head] == pytest.approx(gap, rel=1e-4)
    assert run["audit_coupling"][-1, head] == pytest.approx(coupling, rel=1e-4)
    norms = [place for place, layer in enumerate(run.layers) if layer.kind == "normalisation"]
    assert run["audit_values"][-1, norms].tolist() == [5 * 8 * 8, 5 * 6 * 6]
    dropped = np.isfinite(run["audit_dropout_gap"][-1, norms]).tolist()
    assert dropped == ([False, False] if kind == "none" else [False, True])
    assert 0 < np.nansum(run["audit_time"][-1]) < 1
    assert 0 < np.nansum(run["audit_memory"][-1]) < 1


def test_labels_in_the_memory_of_the_data_stay_what_they_are(compare: Compare) -> None:
    """Of a language model one sequence is exchanged; the others do not meet it."""
    ran = compare("shifted_tokens", audit=1)
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    assert run["audit_reason"].tolist() == [""] * 4
    assert run["audit_samples"].tolist() == [6.0] * 4
    assert run["audit_coupling"][-1].tolist() == [0.0] * len(run.layers)
    assert run["audit_values"][-1][[layer.kind == "normalisation" for layer in run.layers]].tolist() == [8.0]
