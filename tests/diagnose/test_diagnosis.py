from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bnprobe.analyse import stability
from bnprobe.diagnose import diagnose
from bnprobe.report.page import render
from bnprobe.store.reader import Run
from tests.synthetic_runs import deep_recording, exploding, residual_recording


def cost(layers: int) -> tuple[int, int]:
    """Calls, of python and of C functions, and largest memory of one diagnosis of a network with so many layers that underperforms."""
    run = deep_recording(layers).run()
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        diagnose(run)
    finally:
        sys.setprofile(None)
    tracemalloc.start()
    try:
        diagnose(run)
        return calls, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_the_cost_of_a_diagnosis_is_linear_in_layers() -> None:
    diagnose(deep_recording(50).run())  # what is imported and compiled once
    few, many = cost(400), cost(800)
    assert [more / fewer < 2.2 for fewer, more in zip(few, many, strict=True)] == [True, True], (few, many)


def test_one_page_looks_for_the_divergence_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked, find = exploding(tmp_path / "run.h5"), [], stability.divergence

    def counted(run: Run) -> stability.Divergence | None:
        asked.append(run.name)
        return find(run)

    for name, module in list(sys.modules.items()):
        if name.startswith("bnprobe.") and vars(module).get("divergence") is find:
            monkeypatch.setattr(module, "divergence", counted)
    render([path])
    assert len(asked) == 1


def test_a_diagnosis_is_a_sequence_of_findings_with_the_run_they_are_about() -> None:
    run = residual_recording(steps=40).run()
    found = diagnose(run)
    assert found.verdict == found[0] == next(iter(found)) == found.findings[0]
    assert (len(found), found[1:]) == (1, ())
    assert found.analysis.recorded.loss is run["loss"]
