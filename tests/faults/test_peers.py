"""What another tool says is judged by its words."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.peers import WORDS, said_by_tool, tasks, worth
from tests.faults.manifest import PROGRAMS
from tests.synthetic_runs import exploding_recording


@pytest.mark.parametrize(
    ("said", "cause", "expected"),
    [
        (["Dead units in fc1", "Vanishing gradients detected"], "vanishing-gradients", "right"),
        (["Rank collapse in 2"], "dead-units", "wrong"),
        ([], "dead-units", "silent"),
        (None, "dead-units", "crashed"),
        (["missing-zero-grad"], "missing-zero-grad", "right"),
        (["gradient_exploding in fc1"], "missing-zero-grad", "wrong"),
    ],
)
def test_worth(said: list[str] | None, cause: str, expected: str) -> None:
    assert worth(said, [cause]) == expected


def test_a_script_that_fails_with_a_tool_alone_is_its_crash(tmp_path: Path) -> None:
    answer, made = tmp_path / "answer.json", exploding_recording(steps=4, blocks=1)
    answer.write_text(json.dumps({"steps": 3, "failed": "KeyError: 'x'", "said": ["Dead units"]}), encoding="utf-8")
    assert said_by_tool(answer, made.write(tmp_path / "run.h5")) is None
    made.status = "crashed"
    assert said_by_tool(answer, made.write(tmp_path / "crashed.h5")) == ["Dead units"]
    answer.write_text(json.dumps({"steps": 4, "failed": "", "said": []}), encoding="utf-8")
    assert said_by_tool(answer, tmp_path / "run.h5") == []


def test_words_stand_for_causes_that_there_are() -> None:
    assert set(WORDS) <= {program.cause for program in PROGRAMS} | {"unshuffled-data"}


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    few, many = tasks(3, 2), tasks(5, 4)
    assert few[:6] == many[:6] and few[6:] == many[10:14]
    assert all(task.script.exists() for task in many)
