"""The last lines of a recording."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bnprobe.cli.last_words import _shown


@pytest.mark.parametrize("error", [ValueError("path is on mount 'D:', start on mount 'C:'"), FileNotFoundError("no such folder")])
def test_a_file_without_a_way_from_here_is_named_in_full(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """On another drive, or from a folder that is gone."""

    def fail(path: Path) -> str:
        raise error

    monkeypatch.setattr(os.path, "relpath", fail)
    assert _shown(Path("/far/my run.h5")) == "'/far/my run.h5'"
