"""Findings as SARIF: the parts that a code host reads."""

from __future__ import annotations

import json

import pytest

from bnprobe.diagnose import diagnose
from bnprobe.integrations.sarif import to_sarif
from bnprobe.store.reader import read_run
from tests import synthetic_runs


@pytest.mark.parametrize(
    "build", [synthetic_runs.exploding, synthetic_runs.healthy, synthetic_runs.zero_steps, synthetic_runs.hostile_names]
)
def test_results_are_the_findings(build, tmp_path):
    diagnosis = diagnose(read_run(build(tmp_path / "run.h5")))
    log = json.loads(to_sarif(diagnosis))
    assert log["version"] == "2.1.0"
    run = log["runs"][0]
    found = [finding for finding in diagnosis if not finding.is_candidate]
    assert [result["ruleId"] for result in run["results"]] == [finding.id for finding in found]
    for result, finding in zip(run["results"], found, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == finding.id
        # 3.27.10: what does not fail has level none
        assert (result["kind"] == "fail") == (result["level"] != "none") == (finding.severity != "info")
        assert finding.cause in result["message"]["text"]
        names = [one["fullyQualifiedName"] for place in result["locations"] for one in place.get("logicalLocations", [])]
        assert names == list(finding.layers)
