from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnprobe.errors import RunFileError
from bnprobe.store.confirm_file import (
    Confirmation,
    Judgement,
    Trial,
    confirm_file_of,
    confirmation_beside,
    read_confirmation,
    recording_key,
    write_confirmation,
)

TRIALS = (
    Trial("as it is", "ran", outcome="diverged", level=0, steps=9, late=math.inf, loss=(2.3, 5.0, math.nan)),
    Trial("clear-gradients", "refused", "every gradient was cleared before the next backward"),
)
JUDGEMENTS = (Judgement("missing-zero-grad", "undecided", "it refused"),)


def recording(path: Path, created: str = "2024-05-01T00:00:00") -> Any:
    return SimpleNamespace(path=path, attributes={"created": created, "pid": 7}, trained_steps=112)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = recording(tmp_path / "run.h5")
    written = Confirmation(recording_key(run), TRIALS, JUDGEMENTS)
    write_confirmation(confirm_file_of(run.path), written)
    found = confirmation_beside(run)
    assert found is not None
    assert repr(found) == repr(written)
    assert [one.name for one in tmp_path.iterdir()] == ["run.confirm.json"]


def test_trials_of_another_recording_are_not_told(tmp_path: Path) -> None:
    run = recording(tmp_path / "run.h5")
    assert confirmation_beside(run) is None
    write_confirmation(confirm_file_of(run.path), Confirmation(recording_key(run), TRIALS, JUDGEMENTS))
    assert confirmation_beside(recording(run.path, "2024-05-02T00:00:00")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "bnprobe-confirm-1"}', '{"schema": "bnprobe-confirm-9", "key": {}}', "\xff"])
def test_a_damaged_file_is_said_to_be_one(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.confirm.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RunFileError, match=r"is damaged|has schema"):
        read_confirmation(path)
    assert confirmation_beside(recording(tmp_path / "run.h5")) is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot write"):
        write_confirmation(tmp_path / "missing" / "run.confirm.json", Confirmation({}))
