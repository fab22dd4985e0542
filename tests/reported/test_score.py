"""What a verdict is worth."""

from __future__ import annotations

from typing import Any

import pytest

from bnprobe.diagnose import Finding
from tests.reported.score import is_place_right, worth

ENTRY: dict[str, Any] = {"named": ["dead-units"], "honest": ["healthy"], "partly": ["mean-shift"]}


@pytest.mark.parametrize(
    ("verdict", "outcome", "found"),
    [
        ("dead-units", "learns", "right"),
        ("healthy", "learns", "honest"),
        ("stuck", "no-progress", "honest"),
        ("inconclusive", "learns-poorly", "honest"),
        ("mean-shift", "no-progress", "partly"),
        ("loss-spike", "learns", "wrong"),
    ],
)
def test_a_verdict_is_worth_what_the_manifest_says(verdict: str, outcome: str, found: str) -> None:
    assert worth(ENTRY, verdict, outcome) == found


def test_a_fault_that_shows_must_not_be_called_healthy() -> None:
    assert worth(ENTRY | {"honest": []}, "healthy", "learns") == "healthy"


def test_a_place_is_a_layer_or_an_operation_that_is_named() -> None:
    finding = Finding("numerical-fault", "error", 0.9, ("head.2",), 3, (), "It arose behind head.2, most likely at `sqrt`.", "", "")
    assert is_place_right({"layers": ["head.*"], "operations": []}, finding)
    assert is_place_right({"layers": [], "operations": ["sqrt"]}, finding)
    assert not is_place_right({"layers": ["tail*"], "operations": ["log"]}, finding)
