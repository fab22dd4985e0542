"""A quasi-Newton step that goes too far within itself is no fault of the arithmetic of the layer that then overflows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bnprobe.diagnose import diagnose
from bnprobe.store.reader import read_run
from bnprobe.store.schema import VARIABLES
from tests.observe.program_server import Job, ProgramServer

PROGRAM = Path(__file__).parents[1] / "reported" / "lbfgs_without_line_search.py"


def test_the_step_is_too_long(server: ProgramServer, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    server.run(Job(str(PROGRAM), str(tmp_path / "work"), str(tmp_path / "run.h5"), {"max_steps": 8}, []))
    verdict = diagnose(read_run(tmp_path / "run.h5")).verdict
    assert verdict.id == "learning-rate-too-high"
    assert "strong_wolfe" in verdict.fix


def test_its_remedy_is_for_what_it_moves(server: ProgramServer, tmp_path: Path) -> None:
    """Beside another optimizer, which moved the weights too far, LBFGS is not the one to change."""
    (tmp_path / "work").mkdir()
    server.run(Job(str(PROGRAM), str(tmp_path / "work"), str(tmp_path / "run.h5"), {"max_steps": 8}, []))
    run = read_run(tmp_path / "run.h5")
    others = [parameter._replace(group=1) for parameter in run.parameters]
    twice = {name: np.repeat(array, 2, axis=1) for name, array in run.variables.items() if VARIABLES[name].dims == ("step", "group")}
    altered = replace(
        run, groups=["LBFGS[0]", "SGD[0]"], parameters=others, variables=run.variables | twice, lengths=run.lengths | {"group": 2}
    )
    verdict = diagnose(altered).verdict
    assert verdict.id == "learning-rate-too-high"
    assert "strong_wolfe" not in verdict.fix
