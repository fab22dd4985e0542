"""What another tool says is judged by its words."""

import pytest

from tests.benchmarks.peers import WORDS, tasks, worth
from tests.faults.manifest import PROGRAMS


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


def test_words_stand_for_causes_that_there_are() -> None:
    assert set(WORDS) <= {program.cause for program in PROGRAMS} | {"unshuffled-data"}


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    few, many = tasks(3, 2), tasks(5, 4)
    assert few[:6] == many[:6] and few[6:] == many[10:14]
    assert all(task.script.exists() for task in many)
