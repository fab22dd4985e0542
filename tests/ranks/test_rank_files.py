"""Every command that reads a run, given the files of several ranks: merged, or refused with what it wants."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

import bnprobe
from bnprobe.cli.app import app
from bnprobe.errors import UsageError
from bnprobe.integrations.mcp_server import RunFiles
from bnprobe.report.live_page import LivePage
from tests import synthetic_runs


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two ranks with the same numbers: they were given the same batches."""
    folder = tmp_path_factory.mktemp("ranks")
    files = []
    for number in (0, 1):
        file = synthetic_runs.healthy(folder / f"run.rank{number}.h5")
        with h5py.File(file, "r+") as opened:
            told = {"rank": str(number), "world_size": "2", "launch": "a", "launcher": "1", "created": "2026-01-01T00:00:00+00:00"}
            opened.attrs.update(told)
        files.append(file)
    return files


def typed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    app([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_inspect(ranks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 ranks merged" in typed(capsys, "inspect", *ranks)


def test_diagnose(ranks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 ranks merged" in typed(capsys, "diagnose", *ranks)
    assert "rank 0 of 2, by itself" in typed(capsys, "diagnose", ranks[0])


def test_export(ranks: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(capsys, "export", *ranks, "--to", "json").startswith("wrote run.json")
    assert json.loads(Path("run.json").read_text())["attributes"]["rank"] == "0, 1"
    assert typed(capsys, "export", *ranks, "--to", "csv").startswith("wrote run.csv")
    assert "ranks_merged" in Path("run.csv/steps.csv").read_text().splitlines()[0]


def test_watch(ranks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "verdict: " in typed(capsys, "watch", *ranks)


@pytest.mark.slow
def test_a_live_page(ranks: list[Path]) -> None:
    page = LivePage(ranks)
    page.look()
    assert page.is_ended
    assert "2 ranks merged" in page.now()[1]


def test_a_notebook(ranks: list[Path]) -> None:
    run = bnprobe.open_run(*ranks)
    assert run["ranks_merged"].tolist() == [2] * run.view.steps


def test_a_server(ranks: list[Path]) -> None:
    files = RunFiles(ranks)
    assert files.names == ["run (2 ranks)", "run.rank0.h5", "run.rank1.h5"]
    assert files[""]["ranks_merged"][0] == 2
    assert files["run.rank1.h5"]["ranks_merged"][0] != 2
    assert files["run (2 ranks)"] is files[""]


def test_what_if_wants_one(ranks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="what-if tells of one process, and 2 files were named"):
        typed(capsys, "what-if", *ranks)


@pytest.mark.parametrize("command", [("diagnose",), ("export", "--to", "json"), ("watch",), ("audit",)])
def test_two_trainings_are_refused(ranks: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]) -> None:
    other = synthetic_runs.healthy(tmp_path / "other.h5")
    with pytest.raises(UsageError, match=f"these files are of 2 trainings .*: {command[0]} tells of one"):
        typed(capsys, *command, ranks[0], other)
