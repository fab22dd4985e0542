"""A quasi-Newton step that goes too far within itself is no fault of the arithmetic of the layer that then overflows."""

from __future__ import annotations

from pathlib import Path

from bnprobe.diagnose import diagnose
from bnprobe.store.reader import read_run
from tests.observe.program_server import Job, ProgramServer

PROGRAM = Path(__file__).parents[1] / "reported" / "lbfgs_without_line_search.py"


def test_the_step_is_too_long(server: ProgramServer, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    server.run(Job(str(PROGRAM), str(tmp_path / "work"), str(tmp_path / "run.h5"), {"max_steps": 8}, []))
    verdict = diagnose(read_run(tmp_path / "run.h5")).verdict
    assert verdict.id == "learning-rate-too-high"
    assert "strong_wolfe" in verdict.fix
