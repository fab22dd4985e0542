from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnprobe.analyse.what_if import TAPES, Refusal, RemedyAnswer, Retrained, WhatIf
from bnprobe.report.what_if_text import asked_lines, lines


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
    said = lines(answers({0.2: "stuck", 1.0: "stuck"}))[1]
    assert said == "no remedy: trains at no rate tried within these steps; at the script's own rate it is still stuck"


def test_a_schedule_is_told_by_its_ends() -> None:
    said = lines(replace(answers({1.0: "trains"}), own_rate=0.0833, own_rates=(0.00333, 0.0833)))
    assert "at the script's own rates, 0.00333 at the first update to 0.0833 at the last, that gives" in said[0]
    assert "largest of its schedule" in said[1]
    said = lines(replace(answers({1.0: "trains"}), own_rates=(0.01, 0.02)))
    assert "0.01 at the first update to 0.02 at the last, at most 0.1" in said[0]
    assert "the script's own rate, 0.1, that gives" in lines(replace(answers({1.0: "trains"}), own_rates=(0.1, 0.1)))[0]


def test_batches_that_are_cycled_are_told() -> None:
    said = lines(replace(answers({1.0: "diverges", 0.2: "trains"}), cycled=7))
    assert said[0].startswith("the first 7 steps") and "cycled, up to 60 steps" in said[1]


def test_rates_that_were_asked_for_have_a_line_each() -> None:
    one = Retrained("agc", 3.0, 0.3, False, "diverges", "the loss is nan", np.zeros(2), start=40)
    found = replace(answers({1.0: "stuck"}), from_here=[one, replace(one, losses=np.ones(2))], refused=[Refusal(TAPES, "too large")])
    assert asked_lines(found)[1:] == [
        "no remedy at 0.1: is still stuck; ",
        "agc at 0.3 from step 40 on: diverges; the loss is nan",
        "agc at 0.3 from step 40 on: diverges; the loss is nan",
        "the tapes are not kept: too large",
    ]


def test_what_has_no_answer_is_told_in_words() -> None:
    found = replace(answers({1.0: "trains"}), refused=[Refusal(what, "why") for what in ("none", "none at 14", "agc", "agc at 0.3")])
    assert lines(found)[-4:] == [
        f"no answer {what}: why" for what in ("without a remedy", "without a remedy at 14", "for agc", "for agc at 0.3")
    ]
