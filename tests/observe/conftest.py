from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bnprobe.store.reader import Run, read_run
from tests.observe.program_server import Job, Outcome, ProgramServer

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
#: Nothing is thinned: what a program's test expects must not depend on how busy the machine is.
NO_LIMIT = 1e9


@dataclass(frozen=True)
class Comparison:
    """One program, run plainly and recorded."""

    plain: Outcome
    recorded: Outcome
    file: Path

    @property
    def run(self) -> Run:
        return read_run(self.file)


@pytest.fixture(scope="session")
def server() -> Iterator[ProgramServer]:
    server = ProgramServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def compare(server: ProgramServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Comparison]:
    """Run a program both ways, once a session for the same arguments: ``compare("checkpoint plain", strict=True)``."""
    known: dict[Any, Comparison] = {}

    def run(program: str, *, compiled: bool = True, **options: Any) -> Comparison:
        key = (program, compiled, *sorted(options.items()))
        if key not in known:
            name, *arguments = program.split()
            folder = tmp_path_factory.mktemp(name)
            plain, recorded = folder / "plain", folder / "recorded"
            plain.mkdir()
            recorded.mkdir()
            script, file = str(PROGRAMS / f"{name}.py"), folder / "run.h5"
            outcomes = server.run(
                Job(script, str(plain), arguments=arguments),
                Job(
                    script, str(recorded), str(file), {"budget": NO_LIMIT, **options}, arguments, {} if compiled else {"BNPROBE_FUSED": "0"}
                ),
            )
            known[key] = Comparison(*outcomes, file)
        return known[key]

    return run
