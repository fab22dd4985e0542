from __future__ import annotations

import html
import json

import numpy as np

from bnprobe.analyse.views import RunView
from bnprobe.diagnose.audit import audit
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.report.audit_text import NO_NORM, alike, to_json, to_text
from bnprobe.report.page import render
from tests.synthetic_runs import Recording, residual_recording


def few_values() -> Recording:
    """A residual network whose batch norms have four values a channel."""
    made = residual_recording(steps=12, norm=True)
    norms = np.array([layer["layer_kind"] == "normalisation" for layer in made.layers])
    made.by_step["batch_norm_values"] = np.where(norms, 4.0, np.nan) * np.ones((12, 1))
    made.by_step["batch_norm_gap"] = np.where(norms, 0.1, np.nan) * np.ones((12, 1))
    for layer in made.layers:
        layer["layer_repeat"] = 0
    return made


def test_what_costs_stands_first_with_its_layers_and_what_to_do() -> None:
    run = RunAnalysis(few_values().run())
    text = to_text(RunView.of(run.recorded), audit(run))
    head, _, first, *_ = text.splitlines()
    assert "batch norms" in head
    assert first.startswith("costs        values behind a statistic")
    assert "To do: larger batches" in text


def test_every_layer_is_listed_on_request() -> None:
    run = RunAnalysis(few_values().run())
    rows, recorded = audit(run), RunView.of(run.recorded)
    names = [layer.layer for layer in rows[0].layers]
    assert len(names) > 4
    assert all(f"    {name}: 4 values *" in to_text(recorded, rows, every_layer=True) for name in names)


def test_the_document_has_numbers_or_null() -> None:
    run = RunAnalysis(few_values().run())
    document = json.loads(to_json(RunView.of(run.recorded), audit(run)))
    by_id = {row["id"]: row for row in document["rows"]}
    assert by_id["few-values"]["value"] == 4.0
    assert by_id["few-values"]["layers"][0]["costs"] is True
    assert by_id["ranks"]["value"] is None


def test_a_run_without_a_norm_has_nothing_to_audit() -> None:
    run = RunAnalysis(residual_recording(steps=12).run())
    assert to_text(RunView.of(run.recorded), audit(run)) == NO_NORM


def test_the_page_has_the_audit_where_a_layer_normalises() -> None:
    assert '<section id="audit">' in render([few_values().run()])
    assert '<section id="audit">' not in render([residual_recording(steps=12).run()])


def test_what_was_not_measured_is_one_row_of_the_page_and_what_cannot_be_there_is_folded() -> None:
    made = few_values()
    rows = audit(RunAnalysis(made.run()))
    joined = alike([row for row in rows if row.verdict != "absent"])
    unmeasured = [row for row in rows if (row.verdict, row.says) == ("cannot tell", "It was not measured.")]
    assert len(unmeasured) > 1 and len({row.title for row in joined if row.says == "It was not measured."}) == 1
    assert all(any(row.title in one.title for one in joined) for row in unmeasured)
    page = html.unescape(render([made.run()]))
    shown, folded = page.split('<section id="audit">')[1].split('<details class="absent">')
    for row in rows:
        assert (row.title in shown) == (row.verdict != "absent")
        assert row.title in (folded if row.verdict == "absent" else shown)
