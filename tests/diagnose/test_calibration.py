"""Confidence as how often such findings were right."""

from __future__ import annotations

import json
from dataclasses import replace

from bnprobe.diagnose.calibration import MOST, TABLE, calibrated, posterior
from bnprobe.diagnose.finding import Finding

FOUND = Finding("no-such-kind", "warning", 0.6, (), None, (), "", "", "")


def test_counts_outweigh_a_statement() -> None:
    assert posterior(0, 0, 0.6) == 0.6
    assert posterior(10, 10, 0.6) > posterior(3, 3, 0.6) > 0.6
    assert posterior(0, 10, 0.9) < 0.5
    assert posterior(1000, 1000, 0.9) == MOST


def test_a_kind_that_was_never_counted_keeps_what_it_states() -> None:
    assert calibrated(FOUND) == FOUND


def test_a_rule_that_has_not_seen_enough_is_not_made_surer() -> None:
    unsure = replace(FOUND, id="healthy", confidence=0.5)
    assert calibrated(unsure) == unsure


def test_a_candidate_keeps_its_own() -> None:
    candidate = replace(FOUND, id="dead-units", confidence=0.2, is_candidate=True)
    assert calibrated(candidate) == candidate


def test_the_table_counts_no_more_right_than_there_were() -> None:
    counts = json.loads(TABLE.read_text(encoding="utf-8"))
    assert all(0 <= right <= of for right, of in counts.values())
    assert counts["healthy"][1] >= 50
    assert "stuck" not in counts
