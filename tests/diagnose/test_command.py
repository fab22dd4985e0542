from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.cli import main
from bnprobe.diagnose.document import SCHEMA
from tests.suites import shortened
from tests.synthetic_runs import LineProbe, dead_units, exploding, exploding_recording, healthy, zero_steps

Diagnose = Callable[..., int]


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Call the command as a shell would; return its exit status."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["bnprobe", "diagnose", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    return call


def test_a_person_reads_the_verdict_first(tmp_path: Path, diagnose: Diagnose, capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose(exploding(tmp_path / "run.h5")) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("outcome: diverged: the loss passed 1000 times its first value at step ")
    assert "\n\nerror: exploding-activations in " in shown.out
    assert "follows from exploding-activations" in shown.out


def test_the_limit_that_line_probes_found_is_told_in_the_end(
    tmp_path: Path, diagnose: Diagnose, capsys: pytest.CaptureFixture[str]
) -> None:
    made = exploding_recording()
    made.line_probes = [LineProbe(2, 0.1, (0.1, 0.125))]
    path = made.write(tmp_path / "run.h5")
    assert diagnose(path) == 0
    last = " ".join(capsys.readouterr().out.split("\n\n")[-1].split())
    assert last == "limit: at step 2 the learning rate, 0.1, was 8 to 10 times what the loss tolerated along the step taken."
    assert diagnose(path, "--json") == 0
    json.loads(capsys.readouterr().out)


def test_a_program_reads_the_document(tmp_path: Path, diagnose: Diagnose, capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose(healthy(tmp_path / "run.h5"), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["verdict"]) == (SCHEMA, "healthy")


@pytest.mark.parametrize(
    ("build", "fail_on", "status"),
    shortened(
        [
            (exploding, "error", 3),
            (exploding, "warning", 3),
            (dead_units, "error", 0),
            (dead_units, "warning", 3),
            (zero_steps, "warning", 3),
            (healthy, "warning", 0),
        ],
        3,
    ),
)
def test_the_exit_status_tells_a_pipeline(
    tmp_path: Path, diagnose: Diagnose, capsys: pytest.CaptureFixture[str], build: Callable[[Path], Path], fail_on: str, status: int
) -> None:
    assert diagnose(build(tmp_path / "run.h5"), "--fail-on", fail_on) == status
    assert capsys.readouterr().out  # the findings are shown all the same


def test_bad_input_is_one_sentence(tmp_path: Path, diagnose: Diagnose, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "foreign.h5").write_text("not a run")
    for path in (tmp_path / "missing.h5", tmp_path / "foreign.h5", tmp_path):
        assert diagnose(path) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("bnprobe: ")
        assert "Traceback" not in shown.err
    assert diagnose(healthy(tmp_path / "run.h5"), "--fail-on", "info") == 2


def test_no_torch_is_needed(tmp_path: Path) -> None:
    path = healthy(tmp_path / "run.h5")
    code = "import sys; sys.modules['torch'] = None; sys.argv = ['bnprobe', 'diagnose', sys.argv[1]];from bnprobe.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("outcome: learns: the loss went from ")
