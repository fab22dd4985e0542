from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.store.reader import Run, read_run
from tests.observe.program_server import Job, ProgramServer

TRAININGS = Path(__file__).with_name("trainings.py")


@pytest.hookimpl(tryfirst=True)  # before what is slow is left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A training is judged at its first seed in the short suite, at the others in the long one."""
    for item in items:
        if item.path.parent == TRAININGS.parent and isinstance(item, pytest.Function) and "recorded" in item.fixturenames:
            if hasattr(item, "callspec") and item.callspec.params.get("seed", 0):
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server() -> Iterator[ProgramServer]:
    server = ProgramServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def recorded(server: ProgramServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Record one of the trainings, once a session: ``recorded("missing-zero-grad", every=5)``."""
    known: dict[Any, Run] = {}

    def record(kind: str, seed: int = 0, **options: Any) -> Run:
        key = (kind, seed, *sorted(options.items()))
        if key not in known:
            folder = tmp_path_factory.mktemp(kind)
            (folder / "work").mkdir()
            file = folder / "run.h5"
            (outcome,) = server.run(Job(str(TRAININGS), str(folder / "work"), str(file), {"budget": 1e9, **options}, [kind, str(seed)]))
            assert outcome.status == (-9 if kind.endswith("killed") else 0), outcome.stderr
            known[key] = read_run(file)
        return known[key]

    return record


@pytest.fixture
def findings(recorded: Callable[..., Run]) -> Callable[..., list[Finding]]:
    """Diagnose one of the trainings; what only came near is left out."""

    def find(kind: str, seed: int = 0, **options: Any) -> list[Finding]:
        return [finding for finding in diagnose(recorded(kind, seed, **options)) if not finding.is_candidate]

    return find
