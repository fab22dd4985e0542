from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from bnprobe.analyse.what_if import RemedyAnswer, Retrained, WhatIf
from bnprobe.cli import app
from bnprobe.diagnose import wording
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.remedies.catalogue import ENTRIES
from tests.synthetic_runs import residual_recording

_REMEDY_CALL = re.compile(r"with_remedy\(run, (.*?)\)\n", re.DOTALL)
_NAME = re.compile(r'"([a-z][a-z-]*)"')


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("convolution", "a convolution layer"),
        ("attention", "an attention layer"),
        ("activation", "an activation layer"),
        ("other", "a layer"),
    ],
)
def test_each(kind: str, words: str) -> None:
    assert wording.each(kind) == words


def test_remedies_in_a_fix_are_those_of_the_catalogue() -> None:
    known = {entry.name for entry in ENTRIES}
    folder = Path(wording.__file__).parent
    named = {name for file in folder.glob("*.py") for call in _REMEDY_CALL.findall(file.read_text()) for name in _NAME.findall(call)}
    assert named
    assert named <= known
    assert {"msr", "batch-norm", "layer-norm"} <= named
    assert wording.clip_at_usual(analysed(), 0) in known


def analysed(**attributes: str) -> RunAnalysis:
    made = residual_recording(steps=5)
    made.attributes = dict(attributes)
    return RunAnalysis(made.run())


def test_a_remedy_is_advised_where_it_said_that_it_can_act() -> None:
    run = analysed(remedy_fits='{"batch-norm": "", "msr": "", "weight-norm": "no trained weights"}')
    assert wording.with_remedy(run, "Normalise", "batch-norm", "weight-norm", "msr") == (
        "Normalise; to try it without an edit: `bnprobe record --remedy batch-norm train.py` or `bnprobe record --remedy msr train.py`."
    )


def test_a_clip_is_advised_at_what_the_gradient_usually_is() -> None:
    run = analysed(remedy_fits='{"clip-norm": ""}')
    usual = run.gradient_norm
    assert usual.size == 5
    limit = wording.clip_at_usual(run, 4)
    assert float(limit.removeprefix("clip-norm:max=")) == pytest.approx(2 * float(np.median(usual[:4])), rel=0.05)
    assert wording.clip_at_usual(run, 1) == "clip-norm"  # too early to know
    assert f"`bnprobe record --remedy {limit} train.py`" in wording.with_remedy(run, "Clip", limit)


@pytest.mark.parametrize("said", [None, '{"batch-norm": "the model normalises already"}', "[]", "damaged"])
def test_no_command_where_none_said_so(said: str | None) -> None:
    run = analysed(**({} if said is None else {"remedy_fits": said}))
    assert wording.with_remedy(run, "Normalise", "batch-norm", "msr") == "Normalise."


@pytest.mark.parametrize(
    ("attributes", "typed"),
    [
        ({"argv": '["train.py", "--lr", "0.1", "a b"]', "script": "train.py"}, "train.py --lr 0.1 'a b'"),
        ({"argv": '["package.train", "--lr", "1"]', "script": "-m package.train"}, "-m package.train -- --lr 1"),
        ({"argv": "damaged", "script": "my train.py"}, "'my train.py'"),
        ({"script": ""}, "TARGET"),
    ],
)
def test_commands_name_what_was_run(attributes: dict[str, str], typed: str) -> None:
    run = analysed(**attributes)
    assert wording.target(run) == typed
    assert wording.with_rate_search(run, "Lower it") == f"Lower it; `bnprobe lr-limit {typed}` finds the largest that trains."


@pytest.mark.parametrize(
    ("outcomes", "lower", "told"),
    [
        ({0.2: "trains", 1.0: "diverges"}, "to 0.02", "train at 0.02 and diverge at 0.1; with msr, train at 0.02 and diverge at 0.1."),
        ({1.0: "trains", 5.0: "stuck"}, "to a tenth", "train at 0.1 and are stuck at 0.5; with msr, train at 0.1 and are stuck at 0.5."),
        ({1.0: "stuck"}, "to a tenth", "train at no rate tried; with msr, train at no rate tried."),
    ],
)
def test_a_rate_that_has_trained_is_named(outcomes: dict[float, str], lower: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [Retrained("none", factor, 0.1 * factor, True, outcome, "", np.zeros(1)) for factor, outcome in outcomes.items()]
    remedies = {name: RemedyAnswer(name, trials) for name in ("none", "msr")}
    monkeypatch.setattr(wording, "what_if_of", lambda run: WhatIf(60, 0.1, True, remedies, [], [], 1.0, 10))
    assert wording.lower_rate(analysed()) == f"Lower the learning rate {lower}"
    assert wording.with_rate_search(analysed(), "Lower it") == f"Lower it; trained again from their tape, its first 60 steps {told}"


def test_how_to_measure_every_step_is_what_record_takes() -> None:
    options = {option for parameter in get_command(app).commands["record"].params for option in parameter.opts}
    assert {"--every", "--budget", "--remedy"} <= options
    assert wording.every_step(analysed(), "Look again").endswith("`bnprobe record --every 1 --budget 1 train.py` measures every step.")
