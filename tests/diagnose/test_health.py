from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.store.reader import Run
from tests.synthetic_runs import residual_recording


def only(run: Run) -> Finding:
    (finding,) = diagnose(run)
    return finding


def test_a_healthy_run_in_numbers() -> None:
    finding = only(residual_recording(steps=40, norm=True).run())
    assert finding.cause.startswith(
        "It learns, as far as the training loss tells: the loss went from 1.97 to 0.123 in 40 steps; the activations"
    )
    assert 0.85 <= finding.confidence <= 0.95


def test_a_part_that_could_not_be_read_is_said() -> None:
    run = dataclasses.replace(residual_recording(steps=40).run(), problems=["activation_max could not be read: damaged"])
    finding = only(run)
    assert "activation_max could not be read" in finding.cause
    assert finding.confidence == 0.5


def test_a_script_that_failed_by_itself_is_no_fault_of_the_training() -> None:
    made = residual_recording(steps=40)
    made.status, made.attributes["ending"] = "crashed", "KeyError: 'labels'"
    finding = only(made.run())
    assert (finding.id, finding.severity) == ("healthy", "info")
    assert finding.cause.endswith("the script ended with an error of its own: KeyError: 'labels'.")


def test_where_nothing_can_be_told_the_error_of_the_script_comes_first() -> None:
    made = residual_recording(steps=5)
    made.status, made.attributes["ending"] = "crashed", "RuntimeError: Trying to backward through the graph a second time."
    finding = only(made.run())
    assert (finding.id, finding.severity) == ("inconclusive", "warning")
    assert finding.cause.startswith("The script ended with an error of its own: RuntimeError: Trying to backward")
    assert "detach()" in finding.fix
    made.attributes["ending"] = "ValueError: of the script's own"
    assert only(made.run()).fix.startswith("The error is the script's own")


@pytest.mark.parametrize(
    ("status", "ending", "words"),
    [
        ("running", "", "it was killed or is still running"),
        ("crashed", "KeyError", "it crashed: KeyError"),
        ("finished", "", "it ran to its end"),
        ("interrupted", "SIGTERM", "it was interrupted by SIGTERM"),
        ("exited", "sys.exit(3)", "it left early by sys.exit(3)"),
    ],
)
def test_no_step(status: str, ending: str, words: str) -> None:
    made = residual_recording(steps=0)
    made.status, made.attributes["ending"] = status, ending
    finding = only(made.run())
    assert (finding.id, finding.severity) == ("nothing-recorded", "warning")
    assert words in finding.cause


def test_a_classifier_is_told_how_it_compares_with_guessing() -> None:
    made = residual_recording(steps=60)
    made.by_step |= {"cross_entropy": np.full(60, 0.5), "constant_cross_entropy": np.full(60, 2.0)}
    evidence = {one.what: one.value for one in diagnose(made.run()).verdict.evidence}
    assert evidence["cross-entropy against that of guessing by the shares of the labels"] == pytest.approx(0.25)


def test_layers_that_are_kept_do_not_hide_how_far_the_others_move() -> None:
    made = residual_recording(steps=60)
    moves = float(np.nanmedian(made.update_norm[:, -1:] / made.weight_norm[:, -1:]))
    made.update_norm[:, :-1] = 0.0
    evidence = {one.what: one.value for one in diagnose(made.run()).verdict.evidence}
    assert evidence["median update ratio"] == pytest.approx(moves, rel=0.1)
