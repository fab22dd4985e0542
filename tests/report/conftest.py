from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.store.reader import read_run
from tests import synthetic_runs


@pytest.fixture(scope="session")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a synthetic run by the name of its builder; once for the whole session, since no test changes it."""
    folder = tmp_path_factory.mktemp("runs")

    def write(name: str) -> Path:
        path = folder / f"{name}.h5"
        return path if path.exists() else synthetic_runs.BUILDERS[name](path)

    return write


@pytest.fixture(scope="session")
def analysed(run_file: Callable[[str], Path]) -> Callable[[str], AnalysedRun]:
    known: dict[str, AnalysedRun] = {}

    def analyse(name: str) -> AnalysedRun:
        if name not in known:
            known[name] = analyse_runs([read_run(run_file(name))])[0]
        return known[name]

    return analyse
