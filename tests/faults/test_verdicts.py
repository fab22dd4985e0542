"""The verdicts on the tuned programs: one of each cause in the quick run, all of them and all without their fault in the slow one.

`python -m tests.benchmarks.diagnosis` counts the same over everything, the programs that were set aside included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY, Program
from tests.faults.recording import Diagnosed, Take, diagnose_one
from tests.faults.score import gravest, verdict
from tests.observe.program_server import ProgramServer

TUNED = [program for program in PROGRAMS if program.part == "tuned"]
#: Programs whose verdict is not the cause, or not healthy, and why.
MISSED: dict[str, str] = {
    "half_precision_overflow_energy": "the overflow happens inside a module, between two casts: float32 goes in and comes out, infinite",
    "half_precision_overflow_lookup_attention": "float16 inside a module only: float32 goes in and comes out",
    "half_precision_overflow_overlap_sums": "a sum in float16 outside the network is infinite, and all that is left is a gradient of zero",
    "healthy_teacher_average": "a warning: its first updates are large, and its loss stays high by its nature",
    "healthy_meta_waves": "a warning: its updates stay large, as every task is new",
    "healthy_borrowed_features": "a warning: its loss leaps, as it does, when the new head comes",
    "healthy_random_perception": "a warning: a random network that is kept on purpose lies behind trained layers",
    "dead_units_citations": "half of the channels are dead, as in sound networks, and the loss falls to six tenths",
}
#: One program of each cause, the first in the manifest that is not missed.
QUICK = {program.cause: program.name for program in reversed(TUNED) if program.name not in MISSED}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Take], Diagnosed]]:
    server = ProgramServer()
    yield lambda take: diagnose_one(server, take, tmp_path_factory.mktemp(take.program.name))
    server.close()


def _parameter(program: Program) -> Any:
    marks: list[Any] = [] if program.name == QUICK.get(program.cause) else [pytest.mark.slow]
    if program.name in MISSED:
        marks.append(pytest.mark.xfail(strict=True, reason=MISSED[program.name]))
    return pytest.param(program, id=program.name, marks=marks)


@pytest.mark.parametrize("program", [_parameter(program) for program in TUNED])
def test_the_verdict_is_the_cause(run: Callable[[Take], Diagnosed], program: Program) -> None:
    diagnosed = run(Take(program))
    assert diagnosed.error == ""
    assert verdict(diagnosed) == program.cause


@pytest.mark.slow
@pytest.mark.parametrize("program", [program for program in TUNED if program.cause != HEALTHY], ids=lambda program: program.name)
def test_without_its_fault_a_program_trains_and_no_error_is_found(run: Callable[[Take], Diagnosed], program: Program) -> None:
    fixed = run(Take(program, fixed=True))
    assert fixed.error == ""
    assert fixed.loss[1] < fixed.loss[0]
    assert gravest(fixed.findings) != "error"


def test_a_program_that_kills_itself_leaves_what_a_diagnosis_needs(run: Callable[[Take], Diagnosed]) -> None:
    program = next(program for program in TUNED if program.name == QUICK["numerical-fault"])
    cut = run(Take(program, kill=True))
    assert cut.killed_at is not None
    assert verdict(cut) == program.cause
