from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.verdict import comparison, verdict

Analysed = Callable[[str], AnalysedRun]


def test_a_diverged_run_says_what_when_where_and_what_to_try(analysed: Analysed) -> None:
    run = analysed("exploding")
    words = verdict(run)
    assert words.tone == "error"
    assert words.headline.startswith(f"Diverged at step {run.divergence.step}: ")
    assert words.cause == run.findings[0].cause
    assert words.fix == run.findings[0].fix
    assert f"training diverged at step {run.divergence.step} of {run.run.steps}" in words.when
    for name in run.findings[0].layers:
        assert f"{name} (layer " in words.where
    assert run.run.layers[run.first_deviation.layer].name in words.where
    assert len(words.evidence) == len(run.findings[0].evidence)


def test_a_healthy_run_is_called_healthy_and_has_no_first_layer(analysed: Analysed) -> None:
    run = analysed("healthy")
    words = verdict(run)
    assert (words.tone, words.headline) == ("info", "Healthy over 40 steps")
    assert words.cause.startswith("It learns, as far as the training loss tells: ") and not words.is_unclear
    assert run.first_deviation is None
    assert words.where == ""


def test_a_run_without_steps_says_so(analysed: Analysed) -> None:
    assert verdict(analysed("zero_steps")).headline == "Nothing was recorded"


def test_a_killed_run_says_so(analysed: Analysed) -> None:
    assert "killed" in verdict(analysed("killed")).ending


def test_numbers_of_the_evidence_carry_their_units_and_thresholds(analysed: Analysed) -> None:
    run = analysed("exploding")
    for line, one in zip(verdict(run).evidence, run.findings[0].evidence, strict=True):
        assert line.value.endswith("" if one.units.startswith("as the ") else one.units)
        assert "as the" not in line.value, "a unit that is the signal's own has no name"
        assert (line.threshold == "") == (one.threshold is None)


def test_many_layers_are_counted_not_listed(analysed: Analysed) -> None:
    run = analysed("exploding")
    many = replace(run.findings[0], layers=tuple(f"layer{i}" for i in range(30)))
    assert "and 27 more" in verdict(replace(run, diagnosis=replace(run.diagnosis, findings=(many,)))).where


def test_a_comparison_has_one_cell_a_run(analysed: Analysed) -> None:
    rows = comparison([analysed("exploding"), analysed("healthy"), analysed("zero_steps")])
    assert all(len(cells) == 3 for _, cells in rows)
    assert dict(rows)["Loss, first → last, medians"][0].endswith(", then not finite")


def test_a_run_of_which_nothing_can_be_told_is_not_marked_as_healthy(analysed: Analysed) -> None:
    run = analysed("healthy")
    unclear = replace(run.findings[0], id="inconclusive")
    assert verdict(replace(run, diagnosis=replace(run.diagnosis, findings=(unclear,)))).is_unclear
