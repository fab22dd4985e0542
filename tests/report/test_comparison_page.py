from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path

from typer.testing import CliRunner

from bnprobe.cli.app import app
from bnprobe.report.comparison_page import render_comparison
from bnprobe.report.comparison_story import caveats, document, headline
from bnprobe.report.comparison_text import table, trial_line
from bnprobe.store.comparison_file import Trial, write_comparison
from tests.comparison_trials import ATTRIBUTES, comparison, trial, trials

HOSTILE = "<script>alert(1)</script>"


def test_the_terminal_and_the_page_say_the_same() -> None:
    text, page = " ".join(table(comparison()).split()), " ".join(html.unescape(render_comparison(comparison())).split())
    for words in ("0.41 ± 0.014", "0.71 ± 0.014", "89.8 ± 0.35 %", "not possible here: no convolution is trained", "2 of 2"):
        assert words in text, words
        assert words in page, words
    assert headline(comparison()) in page and "Best held-out accuracy: msr" in text


def test_no_remedy_is_called_so_wherever_a_person_reads() -> None:
    failed = trial(0, "failed", reason="ends", output="Traceback", seed=2)
    best = comparison([*(one for one in trials() if one.remedy != "msr"), failed])
    page = render_comparison(best)
    shown, figures = page.split("<main>")[1].split('<section id="origin"')[0], page.split('id="figures"')[1].split("</script>")[0]
    assert "no remedy" in headline(best)
    for text in (table(best), trial_line(failed), " ".join(caveats(best)), shown, figures):
        assert "no remedy" in text and "NONE" not in text
    assert document(best)["techniques"][0]["technique"] == "NONE", "what one types as an option"


def changed(**values: object) -> list[Trial]:
    """The trials that trained, with other values."""
    return [dataclasses.replace(one, **values) if one.outcome == "trains" else one for one in trials()]


def test_what_differs_by_less_than_the_spread_is_not_called_better() -> None:
    alike = [dataclasses.replace(one, held_out_accuracy=0.9 + 0.02 * one.seed) for one in trials()]
    assert "within the spread over seeds" in headline(comparison(alike))
    single = [one for one in trials() if not one.seed]
    assert "one seed nobody can tell" in headline(comparison(single, seeds=1))


def test_a_script_that_evaluates_nothing_is_told_so() -> None:
    lost = float("nan")
    bare = changed(
        held_out_loss=lost, held_out_accuracy=lost, held_out_samples=0, held_out_step=-1, held_out_source="nothing was evaluated"
    )
    text = table(comparison(bare))
    assert "held-out loss" not in text.splitlines()[0], "no column without a number"
    assert "Training losses alone say nothing" in " ".join(text.split())
    assert "Best training loss: msr" in text


def test_a_comparison_that_has_just_begun_is_shown() -> None:
    for found in ([], trials()[:1], trials()[:2], [trials()[-1]]):
        begun = comparison(found, status="running")
        assert "No technique has trained to the end yet" in table(begun) and render_comparison(begun)
        json.dumps(document(begun), allow_nan=False)
        assert any("not finished" in sentence for sentence in caveats(begun))


def test_no_length_is_told_as_a_number_below_zero() -> None:
    for steps, said in ((-1, "to the script's own end"), (30, "30")):
        page = html.unescape(render_comparison(comparison(steps=steps)))
        assert f'<tr><th scope="row">steps</th><td>{said}</td></tr>' in page


def test_the_reader_is_told_of_times_of_several_machines() -> None:
    said = "Trainings may have run on several machines (local and slurm)"
    assert any(said in sentence for sentence in caveats(comparison(executor="local and slurm")))
    assert not any("several machines" in sentence for sentence in caveats(comparison(executor="local")))
    assert not any("several machines" in sentence for sentence in caveats(comparison()))


def test_json_has_every_number_and_no_other_names() -> None:
    found = json.loads(json.dumps(document(comparison()), allow_nan=False))
    assert set(found) == {"script", "status", "steps", "search_steps", "seeds", "own_rate", "techniques", "trials", "caveats"}
    none, msr, refused = found["techniques"]
    assert set(none) == {
        "technique",
        "why_not",
        "acts",
        "best_rate",
        "limit",
        "trained",
        "loss",
        "held_out_loss",
        "held_out_accuracy",
        "metric",
        "step_seconds",
        "step_ratio",
        "peak_bytes",
    }
    assert msr["technique"] == "msr" and msr["trained"] == 2 and len(msr["held_out_loss"]["values"]) == 2
    assert set(msr["loss"]) == {"mean", "deviation", "values"}
    assert refused["why_not"] == "not possible here: no convolution is trained" and refused["best_rate"] is None
    assert found["steps"] is None and found["trials"][0]["length"] == 30 and len(found["trials"]) == len(trials())


def test_names_from_the_file_cannot_become_markup() -> None:
    found = [*trials(), trial(0, "failed", remedy=HOSTILE, reason=HOSTILE, output=HOSTILE)]
    page = render_comparison(comparison(found, script=HOSTILE, techniques=f"NONE\nmsr\n{HOSTILE}"))
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page


def test_the_page_reaches_no_network_and_is_the_same_again() -> None:
    page = render_comparison(comparison())
    before_plotly = page[: page.index("<script>")]
    assert "default-src 'none'" in html.unescape(before_plotly)
    assert not re.findall(r"(?:src|href)=\"(?!#)", before_plotly)
    assert page == render_comparison(comparison())


def test_report_writes_the_page_again(tmp_path: Path) -> None:
    write_comparison(tmp_path / "c.h5", ATTRIBUTES, trials())
    result = CliRunner().invoke(app, ["report", str(tmp_path / "c.h5")])
    assert result.exit_code == 0, result.output
    assert "Techniques compared on train.py" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_a_trial_in_a_line() -> None:
    assert trial_line(trials()[-1]).endswith("not possible here: no convolution is trained")
    assert "loss 0.2, held-out loss 0.7, accuracy 95.0 %" in trial_line(trial(2, "trains", 0.2))
