from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.differences import overall, what_differs
from bnprobe.store.reader import read_run
from tests.synthetic_runs import residual_recording

Analysed = Callable[[str], AnalysedRun]


def made(path: Path, **attributes: str) -> Path:
    recording = residual_recording(steps=6, blocks=1)
    recording.attributes |= attributes
    return recording.write(path)


@pytest.fixture
def runs(tmp_path: Path) -> list[AnalysedRun]:
    one = made(tmp_path / "one.h5", argv='["train.py"]', torch_version="2.13.0", commit="a" * 40)
    other = made(tmp_path / "other.h5", argv='["train.py", "--lr", "1e-2"]', torch_version="2.13.0", commit="b" * 40)
    return analyse_runs([read_run(one), read_run(other)])


def test_only_what_is_not_the_same_is_told(runs: list[AnalysedRun]) -> None:
    assert dict(what_differs(runs)) == {"Arguments": ["–", "--lr 1e-2"], "Commit": ["a" * 40, "b" * 40]}


def test_arguments_that_cannot_be_read_stand_as_they_are(tmp_path: Path, runs: list[AnalysedRun]) -> None:
    [broken] = analyse_runs([read_run(made(tmp_path / "broken.h5", argv="{nonsense"))])
    assert dict(what_differs([runs[0], broken]))["Arguments"] == ["–", "{nonsense"]


def test_networks_of_two_sizes(runs: list[AnalysedRun], analysed: Analysed) -> None:
    rows = dict(what_differs([runs[0], analysed("healthy")]))
    assert rows["Layers"] == [str(len(runs[0].run.layers)), str(len(analysed("healthy").run.layers))]
    assert "Trained weights" in rows


def test_a_verdict_over_all_runs(analysed: Analysed, runs: list[AnalysedRun]) -> None:
    assert overall([analysed("exploding"), analysed("healthy")]) == "Diverged: exploding. Learns: healthy."
    assert overall([analysed("exploding"), analysed("zero_steps")]).endswith("Nothing recorded: zero_steps.")
    sentence = overall([analysed("exploding"), analysed("healthy"), replace(analysed("healthy"), label="again")])
    assert "The lowest loss at the end, a median of the last steps, is that of healthy: " in sentence
