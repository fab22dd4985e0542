"""What the comparison of recorded with plain runs takes for a difference, and what differs from run to run anyway."""

from __future__ import annotations

import pytest

from tests.benchmarks.neutrality import Ran, differences


def ran(*lines: str) -> Ran:
    return Ran(0, list(lines), [], 0.0, 0.0)


@pytest.mark.parametrize(
    ("plain", "again", "recorded", "is_same"),
    [
        ("loss 0.123 in 0.4 s", "loss 0.123 in 0.5 s", "loss 0.123 in 0.9 s", True),
        ("loss 0.123 in 0.4 s", "loss 0.123 in 0.5 s", "loss 0.124 in 0.4 s", False),
        ("loss 0.123 in 0.4 s", "loss 0.123 in 0.4 s", "loss 0.123 in 0.5 s", True),  # twice the same by chance
        ("loss 0.123, 0.4 seconds", "loss 0.123, 0.4 seconds", "loss 0.2, 0.4 seconds", False),
        ("<Net at 0x7f01> of 3", "<Net at 0x7f02> of 3", "<Net at 0x7f03> of 3", True),
        ("<Net at 0x7f01> of 3", "<Net at 0x7f02> of 3", "<Net at 0x7f01> of 4", False),
        ("seed 1", "seed 1", "seed 2", False),
        ("# 1 of 2", "# 1 of 3", "# 1 of 4", True),
    ],
)
def test_numbers_that_vary_between_plain_runs_are_left_out_where_they_stand(plain: str, again: str, recorded: str, is_same: bool) -> None:
    assert (not differences([ran(plain), ran(again)], ran(recorded))) == is_same


def test_a_line_that_is_not_always_printed_is_compared_without_its_numbers() -> None:
    assert not differences([ran("step 1", "step 2"), ran("step 1")], ran("step 4", "step 5"))
    assert differences([ran("step 1", "step 2"), ran("step 1", "step 2")], ran("step 1"))
