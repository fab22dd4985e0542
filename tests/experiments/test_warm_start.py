"""Trials that are forked from a process that has imported torch, beside those that import it themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bnprobe.cli.trial_resources import tell_of_start
from bnprobe.experiments import warm_start
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.judging import judge_trial
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.process import TrialProcess
from bnprobe.experiments.warm_start import ForkedProcess, WarmStart
from bnprobe.store.confirm_file import Trial

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are handed on by Linux alone")

SCRIPT = """
import os, random, sys
import numpy
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters())
for step in range(30):
    x = torch.randn(16, 8)
    loss = (model(x) - x[:, :1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(__name__, sys.argv, os.getcwd(), os.environ["BNPROBE_SAID"], len(os.listdir("/proc/self/fd")))
print(random.random(), numpy.random.rand(), file=sys.stderr)
open("written", "w").close()
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialOrder:
    monkeypatch.setenv("BNPROBE_SAID", "hello")
    (tmp_path / "train.py").write_text(SCRIPT)
    return TrialOrder(Script("train.py", False, ("0", "--more")), Change(), 40, 1, command="confirm", cwd=str(tmp_path))


def made(process: TrialProcess) -> tuple[Trial, list[str], int]:
    """The trial, what it said, how it ended."""
    process.wait()
    try:
        return judge_trial("a trial", process), process.output().splitlines(), process.exit_status
    finally:
        process.end()
        process.clear()


def test_a_forked_trial_is_the_one_that_would_have_been_started(order: TrialOrder, tmp_path: Path) -> None:
    alone, said_alone, _ = made(TrialProcess(order, tmp_path / "alone"))
    warm = WarmStart()
    try:
        first, said, status = made(TrialProcess(order, tmp_path / "first", warm=warm))
        second, said_again, _ = made(TrialProcess(order, tmp_path / "second", warm=warm))
        assert not warm.refusal
    finally:
        warm.close()
    assert len(alone.loss) == 30
    assert first.loss == second.loss == alone.loss, "to the last bit"
    assert status == 0
    assert said[0] == said_again[0] == said_alone[0] == f"__main__ ['train.py', '0', '--more'] {tmp_path} hello {said[0].split()[-1]}"
    drawn = {number for lines in (said, said_again, said_alone) for number in lines[1].split()}
    assert len(drawn) == 6, "random numbers that no seed makes are its own"
    assert not (tmp_path / "written").exists()


def test_a_trial_that_fails_tells_its_status(order: TrialOrder, tmp_path: Path) -> None:
    warm = WarmStart()
    failing = TrialOrder(Script("train.py", False, ("7",)), Change(), 40, 1, command="confirm", cwd=str(tmp_path))
    try:
        _, _, status = made(TrialProcess(failing, tmp_path / "trial", warm=warm))
    finally:
        warm.close()
    assert status == 7


def test_a_trial_is_ended_with_its_group(order: TrialOrder, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    warm = WarmStart()
    process = TrialProcess(order, tmp_path / "trial", warm=warm)
    try:
        while "begun" not in process.output():
            assert not process.is_over()
            time.sleep(0.05)
        process.end()
        assert process.is_over() and process.exit_status < 0
    finally:
        warm.close()
        process.clear()


def test_another_environment_is_not_shared(order: TrialOrder, tmp_path: Path) -> None:
    executor = LocalExecutor()
    executor.share_start(True)
    other = TrialOrder(order.script, order.change, 40, 2, command="confirm", cwd=order.cwd)
    try:
        first, second = executor.start(order, tmp_path / "first"), executor.start(other, tmp_path / "second")
        assert isinstance(first._process, ForkedProcess) and not isinstance(second._process, ForkedProcess)
        executor.share_start(False)
        third = executor.start(order, tmp_path / "third")
        assert not isinstance(third._process, ForkedProcess)
        for one in (first, second, third):
            one.end()
            one.clear()
    finally:
        executor.close()


def test_a_process_that_died_is_done_without(order: TrialOrder, tmp_path: Path) -> None:
    warm = WarmStart()
    process = TrialProcess(order, tmp_path / "first", warm=warm)
    assert warm._process is not None
    os.kill(warm._process.pid, signal.SIGKILL)
    warm._process.wait()
    first, _, _ = made(process)
    second, _, _ = made(TrialProcess(order, tmp_path / "second", warm=warm))
    assert warm.refusal == "it has died"
    warm.close()
    assert first.loss == second.loss, "one goes on, and one is started by itself"


@pytest.mark.parametrize(
    ("before", "is_plain"),
    [("", True), ("import os; os.environ['OMP_NUM_THREADS'] = '2'\n", False), ("import sys; sys.exit()\n", False)],
    ids=["nothing", "a variable", "no torch"],
)
def test_a_trial_by_itself_shows_whether_others_may_be_forked(order: TrialOrder, tmp_path: Path, before: str, is_plain: bool) -> None:
    (tmp_path / "train.py").write_text(before + SCRIPT)
    process = TrialProcess(order, tmp_path / "trial")
    process.wait()
    assert process.has_plain_start is is_plain
    process.clear()


WAITING = """
import sys, time
from pathlib import Path
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.process import TrialProcess
from bnprobe.experiments.warm_start import ForkedProcess, WarmStart

folder = Path(sys.argv[1])
warm = WarmStart()
order = TrialOrder(Script("train.py", False, ()), Change(), 40, 1, command="lr-limit", cwd=str(folder))
process = TrialProcess(order, folder / "trial", warm=warm)
assert isinstance(process._process, ForkedProcess), warm.refusal
while "begun" not in process.output():
    time.sleep(0.05)
print(warm._process.pid, process._process.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_command_leaves_neither_a_trial_nor_what_it_was_forked_from(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    command = subprocess.Popen([sys.executable, "-c", WAITING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    pids = [int(word) for word in command.stdout.readline().split()]
    assert len(pids) == 2
    command.kill()
    command.wait()
    command.stdout.close()
    latest = time.monotonic() + 20
    while left := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < latest, left
        time.sleep(0.05)


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from bnprobe.experiments import warm_start
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.order import Change, Script, TrialOrder

warm_start.start.command = lambda module: [sys.executable, "-c", "import time; time.sleep(600)"]  # an import that takes long
executor = LocalExecutor()
executor.share_start(True)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    executor.prepare(TrialOrder(Script("train.py", False, ()), Change(), 40, 1, command="confirm"))
except KeyboardInterrupt:
    pid = executor._warm._process.pid
    executor.close()
    print("interrupted", Path(f"/proc/{pid}").exists())
"""


def test_ctrl_c_does_not_wait_for_the_import() -> None:
    made = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=True)
    assert made.stdout.split() == ["interrupted", "False"]


#: A server of a system that forks no further process: neither the one between nor, at every second order, its child.
FULL = """
import os
from bnprobe.launch import warm_start

server, fork, asked = os.getpid(), os.fork, []

def refuse():
    asked.append(os.getpid())
    if os.getpid() != server or len(asked) % 2:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

os.fork = refuse
warm_start._serve(os.dup(1))
print("served")
"""


def test_a_system_that_forks_no_further_process_is_said_so_and_the_server_lives() -> None:
    served = subprocess.run([sys.executable, "-c", FULL], input="{}\n" * 4, capture_output=True, text=True, timeout=60, check=True)
    assert served.stdout.splitlines() == ['{"refusal": "the system forks no further process"}'] * 4 + ["served"]
    assert not served.stderr


def test_a_trial_that_cannot_be_forked_begins_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = WarmStart()
    monkeypatch.setattr(start, "_process", object())  # a server that runs
    monkeypatch.setattr(start, "_ask", lambda line: {"refusal": "the system forks no further process"})
    assert start.begin("order", tmp_path / "said", None, {}) is None and not start.refusal, "the next one is asked for again"


def test_why_trials_are_not_forked_is_said(order: TrialOrder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(warm_start, "_can_hand_on_children", lambda: False)
    executor = LocalExecutor()
    tell_of_start(executor)
    executor.share_start(False)
    executor.prepare(order)
    tell_of_start(executor)
    assert not executor.not_shared and not capsys.readouterr().err, "nothing was to be shared"
    executor.share_start(True)
    executor.prepare(order)
    tell_of_start(executor)
    executor.close()
    assert "could not be forked" in (said := capsys.readouterr().err)
    assert "this system cannot hand on children" in said
