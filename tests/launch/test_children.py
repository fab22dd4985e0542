"""What processes of a recorded script are told, and the files that they take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch import children
from bnprobe.launch.children import VARIABLE, Child, files_beside, plan, planned
from bnprobe.observe.options import RecordOptions
from bnprobe.processes import LAUNCH, Rank


@pytest.fixture
def told(tmp_path: Path) -> children.Plan:
    return plan(tmp_path / "run.h5", RecordOptions(every=3, figures=("tails",)), {"created": "now"}, overwrite=False)


def taken(told: children.Plan, rank: Rank, shares: bool = False) -> tuple[str, dict[str, str]]:
    child = Child(told)
    file, attributes = child.place(rank, shares)
    file.touch()
    child.release()
    return file.name, attributes


def test_what_is_told_is_read_as_it_was(told: children.Plan) -> None:
    environment: dict[str, str] = {"PYTHONPATH": "mine"}
    told.announce(environment)
    assert planned(environment) == told
    assert environment["PYTHONPATH"].endswith(f"in_children{os.pathsep}mine")
    assert environment[LAUNCH] == told.launch


@pytest.mark.parametrize("option", ["-I", "-E"])
def test_a_command_in_a_python_that_ignores_its_environment_withholds_what_is_told(told: children.Plan, option: str) -> None:
    environment = dict(os.environ)
    told.announce(environment)
    asks = "import os; from bnprobe.launch.children import step_aside; print(step_aside(), step_aside())"
    shows = f"print([name for name in ('{VARIABLE}', '{LAUNCH}') if name in os.environ], 'in_children' in os.environ.get('PYTHONPATH', ''))"
    done = subprocess.run([sys.executable, option, "-c", f"{asks}; {shows}"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{told.file} None\n[] False\n"


def test_ranks_of_a_group_have_its_numbers_and_a_second_start_its_own_files(told: children.Plan) -> None:
    name, attributes = taken(told, Rank(1, 2))
    assert (name, attributes["rank"], attributes["world_size"]) == ("run.rank1.h5", "1", "2")
    again, others = taken(told, Rank(1, 2))
    assert again == "run.start2.rank1.h5"
    assert others["launch"] != attributes["launch"] == told.launch


def test_trainings_apart_are_no_ranks_and_those_of_shared_weights_are(told: children.Plan) -> None:
    assert taken(told, Rank()) == ("run.child1.h5", {})
    name, attributes = taken(told, Rank(), shares=True)
    assert (name, attributes["rank"], attributes["launch"]) == ("run.child2.h5", "1", told.launch)
    assert [file.name for file in files_beside(told.file)] == ["run.child1.h5", "run.child2.h5"]


def test_files_of_an_earlier_recording_are_not_overwritten_unless_asked(tmp_path: Path) -> None:
    earlier = tmp_path / "run.rank0.h5"
    earlier.touch()
    os.utime(earlier, (0, 0))
    (tmp_path / "runs.rank0.h5").touch()
    with pytest.raises(UsageError, match="already exists"):
        plan(tmp_path / "run.h5", RecordOptions(), {}, overwrite=False)
    forced = plan(tmp_path / "run.h5", RecordOptions(), {}, overwrite=True)
    assert forced.files == []
    assert taken(forced, Rank(0, 2))[0] == "run.rank0.h5"


def test_a_python_that_is_started_finds_its_own_sitecustomize_and_path(tmp_path: Path, told: children.Plan) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    told.announce(environment)
    script = "import os, sys; print([one for one in sys.path if 'in_children' in one], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("mine\n[] False\n", "")


@pytest.mark.parametrize("command", [["worker.py"], ["-m", "worker"], ["-c", "import worker"], ["."]], ids=" ".join)
def test_modules_beside_what_is_started_outrank_the_library(tmp_path: Path, told: children.Plan, command: list[str]) -> None:
    """Whatever we have imported of it before."""
    for name in ("worker", "__main__"):
        (tmp_path / f"{name}.py").write_text("import contextlib, platform, uuid\nprint(contextlib.mine, platform.mine, uuid.mine)")
    for name in ("contextlib", "platform", "uuid", "statistics"):
        (tmp_path / f"{name}.py").write_text(f"mine = '{name}'")
    environment = dict(os.environ)
    told.announce(environment)
    options: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run([sys.executable, *command], env=environment, **options)
    assert (done.stdout, done.stderr) == ("contextlib platform uuid\n", "")


def test_a_command_of_ours_is_left_to_itself_with_what_it_starts(tmp_path: Path, told: children.Plan) -> None:
    environment = {**os.environ, "PYTHONPATH": "mine"}
    told.announce(environment)
    script = (
        "import os, sys; from bnprobe.launch.children import step_aside; before = sys.exit.__module__\n"
        "left = sorted(set(os.environ) & {'BNPROBE_CHILDREN', 'BNPROBE_LAUNCH'})\n"
        "print(step_aside(), before, sys.exit.__module__, len(sys.meta_path), sorted({*left} & {*os.environ}))\n"
        "print(os.environ['PYTHONPATH'], step_aside() == step_aside())"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    plain = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.meta_path))"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{told.file} bnprobe.launch.children sys {plain.stdout.strip()} []\nmine True\n"


def test_a_plan_that_cannot_be_read_leaves_the_process_alone(tmp_path: Path, told: children.Plan) -> None:
    environment = dict(os.environ)
    told.announce(environment)
    environment[VARIABLE] = "{"
    done = subprocess.run([sys.executable, "-c", "print(1)"], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1\n"
    assert "is not recorded" in done.stderr
