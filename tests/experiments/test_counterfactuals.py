from __future__ import annotations

import pytest

from bnprobe.diagnose.verdict import CAUSES
from bnprobe.experiments.counterfactuals import _HELPS, _OWN_NOISE, GENERIC, OF_THE_RATE, SYMPTOMS, TESTS, counterfactual, trials_of
from bnprobe.interventions.catalogue import ENTRIES


def test_every_cause_says_how_it_is_tested() -> None:
    assert list(TESTS) == list(CAUSES)
    assert set(SYMPTOMS) | set(OF_THE_RATE) <= set(CAUSES)


def test_every_trial_is_known_and_changes_one_thing() -> None:
    for cause in TESTS:
        for test in trials_of(cause):
            changes = [test.change.remedies, test.change.interventions, test.change.factor != 1.0]
            assert sum(map(bool, changes)) == 1
            assert len(test.change.interventions) == test.name.count(" + ") + 1 or not test.change.interventions
            assert test.summary and not test.summary.endswith(".")


def test_every_intervention_tests_a_cause() -> None:
    used = {part for cause in TESTS for test in trials_of(cause) for part in test.name.split(" + ")}
    assert {entry.name for entry in ENTRIES} <= used
    whole = {test.name for cause in TESTS for test in trials_of(cause)}
    assert {name for names in _HELPS.values() for name in names} | set(_OWN_NOISE) <= whole


def test_a_factor_is_what_its_name_says() -> None:
    assert counterfactual(GENERIC).change.factor == 0.1
    assert counterfactual("a hundred times the rate").change.factor == 100.0


def test_what_is_unknown_is_no_trial() -> None:
    assert trials_of("stuck") == []
    with pytest.raises(KeyError):
        counterfactual("hope")
