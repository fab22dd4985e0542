"""Runs over the Model Context Protocol, asked by the client of its own SDK; `.ci/run` installs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import synthetic_runs

pytestmark = pytest.mark.slow
mcp = pytest.importorskip("mcp")
anyio = pytest.importorskip("anyio")

TOOLS = ["runs", "overview", "findings", "series", "at_step", "compare"]


def ask(paths: list[Path], *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Start the real command, call its tools, and return their results."""

    async def conversation() -> list[Any]:
        command = mcp.StdioServerParameters(command=sys.executable, args=["-m", "bnprobe", "mcp", *map(str, paths)], env=dict(os.environ))
        async with mcp.Client(mcp.stdio_client(command)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
            return [await client.call_tool(*call) for call in calls]

    return anyio.run(conversation)


def test_a_run_is_asked_about(tmp_path: Path) -> None:
    files = [synthetic_runs.exploding(tmp_path / "bad.h5"), synthetic_runs.healthy(tmp_path / "good.h5")]
    runs, found, loss, missing, stranger = ask(
        files,
        ("runs", {}),
        ("findings", {"run": "good.h5"}),
        ("series", {"variable": "loss", "run": "bad.h5"}),
        ("series", {"variable": "no_such", "run": "bad.h5"}),
        ("findings", {"run": "/etc/passwd"}),
    )
    assert [line["run"] for line in runs.structured_content["runs"]] == ["bad.h5", "good.h5"]
    assert found.structured_content["schema"] == "bnprobe-diagnosis-1"
    assert json.loads(loss.content[0].text) == loss.structured_content
    for refused, words in ((missing, "has no series"), (stranger, "there is no run")):
        assert refused.is_error
        assert words in refused.content[0].text


def test_a_file_that_is_not_there_yet_keeps_none_from_being_asked_about(tmp_path: Path) -> None:
    from bnprobe.errors import RunFileError
    from bnprobe.integrations.mcp_server import RunFiles, _line

    empty, missing = tmp_path / "empty.h5", tmp_path / "missing.h5"
    empty.touch()
    files = RunFiles([empty, synthetic_runs.healthy(tmp_path / "run.h5"), missing])
    assert len(files.unreadable) == 2
    assert files["run.h5"].steps
    with pytest.raises(RunFileError):
        _ = files["missing.h5"]
    assert [_line(name, files)["status"] for name in files.names] == ["unreadable", "finished", "unreadable"]
    synthetic_runs.healthy(empty)
    assert _line("empty.h5", files)["status"] == "finished"


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    from bnprobe.integrations.mcp_server import RunFiles

    path = synthetic_runs.healthy(tmp_path / "run.h5")
    files = RunFiles([path])
    before = files["run.h5"]
    assert files["run.h5"] is before
    synthetic_runs.exploding(tmp_path / "next.h5").replace(path)
    assert files["run.h5"].steps != before.steps
