from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from bnprobe.cli import app
from bnprobe.diagnose import wording
from bnprobe.remedies.catalogue import ENTRIES

_REMEDY_CALL = re.compile(r"with_remedy\((.*?)\)\n", re.DOTALL)
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
    assert wording.with_remedy("Normalise", "batch-norm", "msr") == (
        "Normalise; to try it without an edit: `bnprobe record --remedy batch-norm TARGET` or `bnprobe record --remedy msr TARGET`."
    )


def test_the_search_for_a_rate_is_named_where_it_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wording, "_COMMANDS", tmp_path)
    assert wording.with_rate_search("Lower it") == "Lower it."
    (tmp_path / "lr_limit.py").touch()
    assert wording.with_rate_search("Lower it") == "Lower it; `bnprobe lr-limit TARGET` finds the largest that trains."


def test_how_to_measure_every_step_is_what_record_takes() -> None:
    options = {option for parameter in get_command(app).commands["record"].params for option in parameter.opts}
    assert {"--every", "--budget", "--remedy"} <= options
    assert wording.every_step("Look again").endswith("`bnprobe record --every 1 --budget 1 TARGET` measures every step.")
