"""The manifest and the scripts agree."""

from __future__ import annotations

from collections import Counter

from bnprobe.experiments.counterfactuals import TESTS
from tests.benchmarks.confirm_cases import of_library
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY, HERE, Program


def test_every_script_is_in_the_manifest_and_in_its_folder() -> None:
    scripts = {path for part in ("tuned", "held_out") for path in (HERE / part).glob("*.py")}
    assert {path for path in scripts if path.name != "digits.py"} == {program.path for program in PROGRAMS}


def test_every_cause_has_programs_to_tune_on() -> None:
    programs = Counter(program.cause for program in PROGRAMS if program.part == "tuned")
    assert min(programs.values()) >= 2


def test_every_cause_that_trials_can_test_has_four_programs_with_those_that_people_reported() -> None:
    programs = Counter(cause for case in of_library(per_cause=4, healthy=0) for cause in case.right)
    assert {cause for cause in TESTS if programs[cause] < 4} == set()


def test_every_fault_can_be_removed_and_every_program_seeded() -> None:
    sources = {program: program.path.read_text(encoding="utf-8") for program in PROGRAMS}
    assert [program.name for program, source in sources.items() if '"--seed"' not in source] == []
    assert [program.name for program, source in sources.items() if ("args.fixed" in source) != (program.cause != HEALTHY)] == []


def test_place_and_time() -> None:
    program = Program("one", "dead-units", ("encoder.*", "head"), (3, 5))
    assert program.is_place("encoder.2") and program.is_place("head") and not program.is_place("head:input")
    assert program.is_time(3) and program.is_time(5) and not program.is_time(6)
    assert program.is_time(9, tolerance=4) and not program.is_time(10, tolerance=4)
    assert not Program("two", HEALTHY).is_time(0)
