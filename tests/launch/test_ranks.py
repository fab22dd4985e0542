from __future__ import annotations

from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch.ranks import output_of_rank
from bnprobe.processes import Rank, attributes_of, read_rank, restarts


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Rank(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Rank(3, 4)),
        ({"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}, Rank(5, 8)),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, Rank(1, 2)),
        ({"RANK": "3"}, Rank(0, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Rank(0, 1)),
        ({"RANK": "7", "WORLD_SIZE": "4"}, Rank(0, 1)),
        ({"RANK": "first", "WORLD_SIZE": "4"}, Rank(0, 1)),
        ({"RANK": "", "WORLD_SIZE": ""}, Rank(0, 1)),
    ],
)
def test_read_rank(environ, expected):
    assert read_rank(environ) == expected


@pytest.mark.parametrize(
    ("rank", "ranks", "expected"),
    [
        (Rank(0, 1), "0", "run.h5"),
        (Rank(0, 1), "all", "run.h5"),
        (Rank(0, 4), "0", "run.h5"),
        (Rank(3, 4), "0", None),
        (Rank(0, 4), "all", "run.rank0.h5"),
        (Rank(3, 4), "all", "run.rank3.h5"),
    ],
)
def test_output_of_rank(rank, ranks, expected):
    output = output_of_rank(Path("runs/run.h5"), rank, ranks)
    assert output == (expected and Path("runs") / expected)


def test_a_restart_has_files_of_its_own():
    assert output_of_rank(Path("run.h5"), Rank(1, 2), "all", 2) == Path("run.restart2.rank1.h5")
    assert restarts({"TORCHELASTIC_RESTART_COUNT": "2"}) == 2


def test_what_all_ranks_of_a_launch_share():
    shared = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "node7.example", "MASTER_PORT": "29500", "WORLD_SIZE": "2"}
    first, second = (attributes_of({**shared, "RANK": rank}) for rank in "01")
    assert first["launch"] == second["launch"] != attributes_of({**shared, "RANK": "0", "MASTER_PORT": "29501"})["launch"]
    assert (first["rank"], second["rank"]) == ("0", "1")
    assert "node7" not in str(first), "the name of no machine is told"
    assert attributes_of({}) == {"rank": "0", "world_size": "1"}


def test_unknown_choice():
    with pytest.raises(UsageError, match="expected 0 or all"):
        output_of_rank(Path("run.h5"), Rank(0, 1), "some")


def test_other_ranks_run_plainly(bench):
    bench.write("train.py", "import torch\ntorch.step()\nprint(torch.observers)\nraise SystemExit(3)")
    result = bench.record("train.py", options=("--ranks", "0"), RANK="1", WORLD_SIZE="2")
    assert (result.status, result.stdout, result.stderr, result.events) == (3, "[]\n", "", [])


def test_each_rank_writes_its_own_file(bench):
    bench.write("train.py", "import torch\ntorch.step()")
    for rank in "01":
        assert bench.record("train.py", options=("-q",), RANK=rank, WORLD_SIZE="2").status == 0
    assert sorted(path.name for path in bench.folder.glob("*.h5")) == ["run.rank0.h5", "run.rank1.h5"]


def test_max_steps_may_not_leave_the_other_ranks_waiting(bench):
    bench.write("train.py", "import torch")
    result = bench.record("train.py", options=("--max-steps", "3", "--ranks", "0"), RANK="1", WORLD_SIZE="2")
    assert result.status == 2
    assert result.stderr.splitlines()[1] == "hint: leave out --ranks 0"
