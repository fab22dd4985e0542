from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.diagnose.audit import AuditRow, audit
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run, read_run
from tests.observe.program_server import Job, ProgramServer

NETWORKS = Path(__file__).with_name("networks.py")


@pytest.fixture(scope="session")
def network(server: ProgramServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Record one of the networks, once a session."""
    known: dict[str, Run] = {}

    def record(kind: str) -> Run:
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            (folder / "work").mkdir()
            file = folder / "run.h5"
            (outcome,) = server.run(Job(str(NETWORKS), str(folder / "work"), str(file), {"budget": 1e9, "audit": "auto"}, [kind]))
            assert outcome.status == 0, outcome.stderr
            known[kind] = read_run(file)
        return known[kind]

    return record


@pytest.fixture(scope="session")
def audited(network: Callable[[str], Run]) -> Callable[[str], dict[str, AuditRow]]:
    """Audit one of the networks: its rows by id."""
    return lambda kind: {row.id: row for row in audit(RunAnalysis(network(kind)))}
