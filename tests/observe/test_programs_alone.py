"""What depends on a process of its own: import order, environment, workers, ranks, and how a process ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.reader import Run, read_run
from tests.observe.conftest import PROGRAMS


@dataclass(frozen=True)
class Ran:
    status: int
    stdout: str
    stderr: str


class Terminal:
    """Runs programs as a user does, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "run.h5"
        self._folder = folder

    @property
    def run(self) -> Run:
        return read_run(self.file)

    def plain(self, program: str, *arguments: str) -> Ran:
        return self.type(sys.executable, str(PROGRAMS / f"{program}.py"), *arguments)

    def record(self, program: str, *arguments: str, options: tuple[str, ...] = ("--budget", "1e9")) -> Ran:
        command = (sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(self.file), *options)
        return self.type(*command, str(PROGRAMS / f"{program}.py"), *arguments)

    def launch(self, *command: str) -> Ran:
        """Type a command that starts several ranks, again where torch's own threads abort at the very end.

        Without any recorder that happens to one in forty runs on a busy machine: gloo's threads meet an interpreter that is gone.
        """
        for _ in range(4):
            ran = self.type(*command)
            if ran.status == 0 or "terminate called without an active exception" not in ran.stderr:
                return ran
        return ran

    def type(self, *command: str) -> Ran:
        kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")}
        done = subprocess.run(
            command, cwd=self._folder, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.slow
def test_a_recorded_process_says_and_trains_the_same(terminal: Terminal) -> None:
    plain, recorded = terminal.plain("plain_mlp"), terminal.record("plain_mlp")
    assert recorded == plain
    run = terminal.run
    assert run.steps == 5
    assert [layer.name for layer in run.layers] == ["0:input", "0", "1", "2"]
    assert run.attributes["status"] == "finished"


@pytest.mark.parametrize(
    ("how", "status", "ending"),
    [
        pytest.param("exit", 3, ("exited", "sys.exit(3)"), marks=pytest.mark.slow),
        pytest.param("quick_exit", 7, ("exited", "os._exit(7)"), marks=pytest.mark.slow),
        pytest.param("raise", 1, ("crashed", "KeyError: 'größe'"), marks=pytest.mark.slow),
        ("interrupt", -signal.SIGINT, ("interrupted", "KeyboardInterrupt")),
        pytest.param("terminate", -signal.SIGTERM, ("interrupted", "SIGTERM"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_every_end_keeps_its_status_and_its_steps(terminal: Terminal, how: str, status: int, ending: tuple[str, str]) -> None:
    plain, recorded = terminal.plain("ends", how), terminal.record("ends", how)
    assert plain.status == status
    assert (recorded.status, recorded.stdout) == (plain.status, plain.stdout)
    run = terminal.run
    assert (run.attributes["status"], run.attributes["ending"]) == ending
    assert run.steps == 3
    assert np.isfinite(run["activation_gradient_rms"][:, 1:]).all()
    assert run.attributes["threads"] == "1", "set in the script's environment before it imports torch"


@pytest.mark.slow
def test_what_led_to_a_divergence_is_in_the_file_before_the_process_is_killed(terminal: Terminal) -> None:
    assert terminal.record("killed_when_diverged", options=("--every", "1000")).status == -signal.SIGKILL
    run = terminal.run
    assert run.steps >= 26
    np.testing.assert_allclose(run["learning_rate"][:26, 0], 0.05 * 0.5 ** np.arange(26))
    assert "divergence" in [event.kind for event in run.events]


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["many", "one", "one, tiny numbers"])
@pytest.mark.parametrize("compiled", ["1", "0"])
def test_threads_are_used_as_torch_uses_them(terminal: Terminal, threads: str, compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many, every weight is the same to the last bit; where torch starts none, none are started, for a forked child has them not."""
    plain = terminal.plain("threads_of_torch", threads)
    monkeypatch.setenv("BNPROBE_FUSED", compiled)
    recorded = terminal.record("threads_of_torch", threads)
    assert recorded == plain
    assert plain.status == 0
    run = terminal.run
    assert run.steps == 4
    assert run.attributes["threads"] == "2"
    assert np.isfinite(run["activation_rms"][:, 1:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_workers_leave_the_recording_alone(terminal: Terminal, method: str) -> None:
    plain, recorded = terminal.plain("data_workers", method), terminal.record("data_workers", method)
    assert recorded == plain
    assert plain.status == 0
    run = terminal.run
    assert run.steps == 6
    assert run["evaluations"].sum() == 0
    assert [layer.name for layer in run.layers] == ["0:input", "0", "1", "2"]
    losses = [float(line.split()[1]) for line in plain.stdout.splitlines() if line.startswith("loss ")]
    np.testing.assert_allclose(run["loss"], losses, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["0", "all"])
def test_two_ranks_train_the_same(terminal: Terminal, ranks: str) -> None:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", str(_free_port()))
    plain = terminal.launch(*launcher, str(PROGRAMS / "distributed.py"))
    options = ("-q", "-f", "--budget", "1e9", "--ranks", ranks, "-o", str(terminal.file))
    recorded = terminal.launch(*launcher, "-m", "bnprobe", "record", *options, str(PROGRAMS / "distributed.py"))
    assert plain.status == recorded.status == 0, plain.stderr + recorded.stderr
    assert "digest" in plain.stdout
    assert recorded.stdout == plain.stdout
    files = [terminal.file] if ranks == "0" else [terminal.file.with_name(f"run.rank{rank}.h5") for rank in (0, 1)]
    runs = [read_run(file) for file in files]
    for run in runs:
        assert run.steps == 4
        assert [layer.name for layer in run.layers] == ["0:input", "0", "1", "2"]
        assert [parameter.name for parameter in run.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
        np.testing.assert_array_equal(run["parameter_gradient_norm"], runs[0]["parameter_gradient_norm"])
    losses = [float(line.split()[1]) for line in plain.stdout.splitlines() if line.startswith("loss ")]
    np.testing.assert_allclose(runs[0]["loss"], losses, rtol=1e-9)
    if ranks == "all":
        assert not np.allclose(runs[0]["loss"], runs[1]["loss"]), "a loss belongs to its rank"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
