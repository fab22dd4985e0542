"""Numbers that change from step to step are told from operations that come and go."""

from __future__ import annotations

import pytest
import torch

from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.what_if.program import Backward, Item
from bnprobe.what_if.python_numbers import changing_number

MUL, ADD = torch.ops.aten.mul.Tensor, torch.ops.aten.add.Tensor


def stretch(*steps: list[float], name: object = MUL) -> list[Item]:
    """Return operations of one name with a number each, a backward behind those of each step."""
    items: list[Item] = []
    for step, numbers in enumerate(steps):
        items += [Operation(name, (Slot(0), number), {}, [], [Slot(0)]) for number in numbers]  # type: ignore[arg-type]
        items.append(Backward([Slot(0)], [None], None, True, False, False, losses=[Slot(0)], step=step))
    return items


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([[0.5], [0.5], [0.5]], id="the-same"),
        pytest.param([[0.5], [0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]], id="a-mean-begins"),
        pytest.param([[0.5, 0.1], [0.5], [0.5, 0.1], []], id="now-and-then"),
    ],
)
def test_what_is_the_same(steps: list[list[float]]) -> None:
    assert changing_number(stretch(*steps)) == ""


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param([[0.5], [0.4]], "given 0.4 at one step and 0.5 at another", id="changes"),
        pytest.param([[0.3], [], [0.2]], "given 0.2 at one step and 0.3", id="changes-when-it-is-there"),
        pytest.param([[0.5], [0.4, 0.3]], "given 0.5 at one step and 0.4", id="changes-and-is-more"),
        pytest.param([[0.5, 0.1], [0.1, 0.5]], "a number that python has computed", id="changes-its-place"),
    ],
)
def test_what_changes(steps: list[list[float]], words: str) -> None:
    assert words in changing_number(stretch(*steps))


def test_operations_of_other_names_are_apart() -> None:
    assert changing_number([*stretch([0.5]), *stretch([0.4], name=ADD)]) == ""
