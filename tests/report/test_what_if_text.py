from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.what_if import RemedyAnswer, Retrained, WhatIf
from bnprobe.report.what_if_text import lines


def answers(outcomes: dict[float, str]) -> WhatIf:
    trials = [Retrained("none", factor, 0.1 * factor, True, outcome, "", np.zeros(1)) for factor, outcome in outcomes.items()]
    return WhatIf(60, 0.1, True, {"none": RemedyAnswer("none", trials)}, [], [], 1.0, 10)


@pytest.mark.parametrize(
    ("own", "outcome", "words"),
    [
        ("trains", "diverged", "the recorded training diverged after these 60 steps"),
        ("trains", "no-progress", "ended without progress after"),
        ("stuck", "learns", "the recorded training learned after these 60 steps"),
        ("trains", "learns", ""),
        ("stuck", "no-progress", ""),
        ("diverges", "diverged", ""),
    ],
)
def test_it_does_not_contradict_what_became_of_the_recorded_training(own: str, outcome: str, words: str) -> None:
    said = lines(answers({1.0: own, 5.0: "diverges"}), outcome)
    assert len(said) == (3 if words else 2)
    assert words in said[-1]


def test_what_is_stuck_is_stuck_within_the_stretch() -> None:
    assert lines(answers({0.2: "stuck", 1.0: "stuck"}))[1].endswith(
        "trains at no rate tried within these steps; at the script's own rate it is still stuck"
    )
