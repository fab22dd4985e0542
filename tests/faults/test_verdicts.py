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
    "half_precision_overflow_energy": "what overflows between two casts is data, which no graph of the loss holds",
    "half_precision_overflow_split_digits": "functions overflow float16 behind the last module, in the backward pass only",
    "mean_shift_phone_intents": "its weights hardly move, either, which is named first",
    "vanishing_gradients_voltage_map": "an adaptive optimizer makes up for most of it in the course of the training",
    "exploding_gradients_contrast": "its gradient grows at first, less than through as many sound normalised layers, and vanishes later",
    "exploding_gradients_clipped_layers": "its wide weights saturate the units as well, which is named first",
    "dead_units_citations": "half of the channels are dead, as in sound networks, and the loss falls to six tenths",
    "healthy_teacher_average": "a warning: its first updates are large, and its loss stays high by its nature",
    "healthy_meta_waves": "a warning: its updates stay large, as every task is new",
    "healthy_random_perception": "a warning: a random network that is kept on purpose lies behind trained layers",
    "healthy_twin_views": "a warning: two views share a batch norm whose running statistics lag behind",
    "healthy_torn_pictures": "a warning: the same",
    "healthy_rainy_exam": "a warning: its examination is on harder data than its training",
    "healthy_second_shift": "a warning: its loss leaps, as it does, when the task changes",
    "healthy_new_symbols": "a warning: its loss leaps, as it does, when there are more classes",
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
