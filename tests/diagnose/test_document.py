from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bnprobe.diagnose import Evidence, Finding, diagnose
from bnprobe.diagnose.document import SCHEMA, from_document, to_document, to_json
from bnprobe.errors import BnprobeError
from bnprobe.store.reader import read_run
from tests.synthetic_runs import BUILDERS, HOSTILE_NAMES, in_detail_at, residual_recording


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_there_and_back(tmp_path: Path, name: str) -> None:
    run = read_run(BUILDERS[name](tmp_path / "run.h5"))
    findings = diagnose(run)
    text = to_json(findings)
    assert text.isascii()
    document = json.loads(text)
    assert document["schema"] == SCHEMA == "bnprobe-diagnosis-1"
    assert document["verdict"] == findings[0].id
    assert document["run"] == {"name": "run", "status": run.status, "steps": run.steps}
    assert from_document(document) == list(findings)
    assert document["outcome"]["word"] == findings.outcome.word


def test_steps_are_those_of_the_training_whatever_detail_was_kept() -> None:
    run = in_detail_at(residual_recording(steps=40).run(), range(0, 40, 3))
    assert to_document(diagnose(run))["run"]["steps"] == 40


def test_every_field_of_the_schema(tmp_path: Path) -> None:
    run = read_run(BUILDERS["hostile_names"](tmp_path / "run.h5"))
    entry = to_document(diagnose(run))["findings"][0]
    assert list(entry) == [
        "id",
        "severity",
        "confidence",
        "layers",
        "step",
        "evidence",
        "cause",
        "fix",
        "source",
        "follows_from",
        "candidate",
        "trial",
    ]
    names = [layer.name for layer in run.layers]
    assert entry["layers"][-1] == {"name": HOSTILE_NAMES[1], "depth": names.index(HOSTILE_NAMES[1])}
    assert list(entry["evidence"][0]) == ["what", "value", "threshold", "units", "step"]


def test_numbers_that_are_not_finite_are_texts(tmp_path: Path) -> None:
    run = read_run(BUILDERS["healthy"](tmp_path / "run.h5"))
    evidence = (Evidence("a", float("inf"), float("-inf")), Evidence("b", float("nan")))
    finding = Finding("x", "error", 1.0, ("gone",), 3, evidence, "", "", "")
    document = json.loads(to_json(dataclasses.replace(diagnose(run), findings=(finding,))))
    entry = document["findings"][0]
    assert [one["value"] for one in entry["evidence"]] == ["inf", "nan"]
    assert entry["evidence"][0]["threshold"] == "-inf"
    assert entry["layers"] == [{"name": "gone", "depth": None}]
    (back,) = from_document(document)
    assert back.evidence[0] == evidence[0]


@pytest.mark.parametrize(
    "document", [{}, {"schema": "bnprobe-diagnosis-2", "findings": []}, {"schema": SCHEMA}, {"schema": SCHEMA, "findings": [{"id": 1}]}]
)
def test_what_is_no_diagnosis_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(BnprobeError, match=r"expected a document of schema|damaged"):
        from_document(document)
