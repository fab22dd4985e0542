from __future__ import annotations

import dataclasses
import html
import math
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bnprobe.analyse.limits import TOGETHER
from bnprobe.analyse.stopping_rate import WORTH
from bnprobe.cli.app import app
from bnprobe.report.figures.limits import courses
from bnprobe.report.limits_page import limits_figures, render_limits
from bnprobe.report.limits_story import caveats, stories
from bnprobe.report.limits_text import table, trial_line
from bnprobe.store.limits_file import Limits, Prediction, Trial, write_limits
from tests.limit_trials import trial, trials

HOSTILE = "<script>alert(1)</script>"


def limits(found: list | None = None, **attributes: str | int) -> Limits:
    return Limits(
        Path("limits.h5"), {"script": "train.py", "steps": 20, "status": "finished", **attributes}, trials() if found is None else found, []
    )


def test_an_own_rate_that_is_stuck_does_not_train_although_the_limit_lies_above_it() -> None:
    assert (
        stories(limits([trial(0, "stuck"), trial(4, "trains"), trial(5, "diverges")]))[0].own
        == "the script's own rate is stuck at every seed"
    )
    found = [trial(0, "stuck"), trial(4, "trains"), trial(5, "diverges"), trial(0, "trains", seed=1), trial(1, "diverges", seed=1)]
    assert stories(limits(found))[0].own == "the script's own rate is stuck at 1 of 2 seeds"


def test_the_story_holds_intervals_alone() -> None:
    none, msr = stories(limits())
    assert none.limit == "between 0.1 and 0.15"
    assert none.own == "the script's own rate trains at every seed"
    assert none.factor == ""
    assert msr.limit == "between 2.5 and 5.59"
    assert msr.factor == "between 16.7 and 55.9"
    assert msr.fails_by == "diverges"
    assert msr.first_layer == "conv1 at step 7"


def test_the_terminal_and_the_page_say_the_same() -> None:
    text, page = table(limits()), render_limits(limits())
    for words in ("between 2.5 and 5.59", "between 16.7 and 55.9", "Trials of 20 steps"):
        assert words in " ".join(text.split())
        assert words in " ".join(page.split())


def test_no_remedy_is_called_so_wherever_a_person_reads() -> None:
    failed = trial(0, "failed", reason="ends", output="Traceback", seed=2)
    found = dataclasses.replace(limits([*trials(), failed]), predictions=[Prediction("NONE", TOGETHER, 50, 0.08, 0.5)])
    shown = render_limits(found).split("<main>")[1].split('<section id="origin"')[0]
    for text in (table(found), *map(trial_line, found.trials[:1]), shown):
        assert "no remedy" in text and "NONE" not in text
    assert "times that with no remedy" in " ".join(table(found).split())


def test_one_number_of_all_line_probes_is_told_with_its_worth() -> None:
    found = dataclasses.replace(limits(), predictions=[Prediction("NONE", TOGETHER, 50, 0.08, 0.5)])
    text, page = " ".join(table(found).split()), " ".join(render_limits(found).split())
    assert f"no remedy, {TOGETHER}: between 0.08 and 0.5 at step 50; between" in text
    for words in (TOGETHER, WORTH):
        assert words in text and words in page
    assert WORTH not in table(limits())


def test_names_from_the_file_cannot_become_markup() -> None:
    found = [*trials(), trial(0, "failed", HOSTILE, reason=HOSTILE, output=HOSTILE), trial(3, "diverges", layer=HOSTILE)]
    page = render_limits(limits(found, script=HOSTILE, command=HOSTILE))
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_reaches_no_network() -> None:
    page = render_limits(limits())
    before_plotly = page[: page.index("<script>")]
    assert "default-src 'none'" in html.unescape(before_plotly)
    assert not re.findall(r"(?:src|href)=\"(?!#)", before_plotly)


def test_the_same_trials_give_the_same_page() -> None:
    assert render_limits(limits()) == render_limits(limits())


def test_a_search_without_any_outcome_has_a_page() -> None:
    page = render_limits(limits([trial(0, "failed", reason="no such data", output="line 3")]))
    assert "No limit was found: no such data" in page
    assert "No trial has ended yet" in render_limits(limits([]))


@pytest.mark.parametrize("found", [trials(), [trial(0, "trains")], [trial(0, "diverges")], [trial(0, "stuck"), trial(0, "failed", "msr")]])
def test_predictions_stand_beside_what_was_found_if_anything_was(found: list[Trial]) -> None:
    predictions = [
        Prediction("NONE", "curvature", 0, 0.11, 0.12),
        Prediction("NONE", "line probe, diverges", 5, 0.0, 0.2),
        Prediction("NONE", "line probe, diverges", 9, 0.3, math.inf),
        Prediction("msr", "line probe, loss rises with agc", 0, 0.1, 0.2),
    ]
    shown = dataclasses.replace(limits(found), predictions=predictions)
    assert "between 0.11 and 0.12" in render_limits(shown)
    assert "no remedy, curvature: between 0.11 and 0.12 at step 0" in " ".join(table(shown).split())
    assert "with agc" not in table(shown)


def test_rates_that_make_no_sense_make_no_figure() -> None:
    assert 'id="survival"' in render_limits(limits())
    for rate in (math.nan, math.inf, 0.0, -1.0):
        assert 'id="survival"' not in render_limits(limits([trial(0, "trains", peak_rate=rate)]))


def test_what_weakens_a_result_is_said() -> None:
    assert any("was still rising" in one for one in caveats(limits([trial(0, "trains", rate=trials()[0].step * 0.1)])))
    assert not any("was still rising" in one for one in caveats(limits()))
    assert any("seeds made no difference" in one for one in caveats(limits([trial(0, "trains"), trial(0, "trains", seed=1)])))
    assert any("matter of chance" in one for one in caveats(limits([trial(0, "diverges"), trial(1, "trains")])))
    assert any("none of the 1 rates that were tried is too large" in one for one in caveats(limits([trial(0, "trains")])))
    assert any("not finished" in one for one in caveats(limits(status="interrupted")))


def test_the_report_command_makes_it(tmp_path: Path) -> None:
    write_limits(tmp_path / "limits.h5", {"script": "train.py"}, trials(), [])
    result = CliRunner().invoke(app, ["report", str(tmp_path / "limits.h5")])
    assert result.exit_code == 0, result.output
    assert "trains up to a learning rate somewhere between 0.1 and 0.15" in (tmp_path / "limits.html").read_text()


def test_a_loss_that_runs_away_leaves_room_for_those_of_the_other_trials() -> None:
    away = trial(5, "diverges")
    away = dataclasses.replace(away, loss=np.append(away.loss[:-3], [1e10, 1e20, 1e30]))
    axis = courses(limits([trial(0, "trains"), away]), "NONE").layout.yaxis
    low, high = axis.range
    assert axis.type == "log" and high < 5 and low < np.log10(trial(0, "trains").loss.min())


def test_a_prediction_of_one_step_stands_whole_on_an_axis_of_steps() -> None:
    found = dataclasses.replace(limits(), predictions=[Prediction("NONE", TOGETHER, 0, 0.08, 0.5)])
    axis = limits_figures(found)["predicted-0"].layout.xaxis
    assert axis.range[0] < 0 < axis.range[1] and axis.dtick == 1
