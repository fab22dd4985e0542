"""``bnprobe record`` from end to end: real torch, real recorder, real file."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap

import pytest
import typer

from bnprobe.cli import app
from bnprobe.errors import BnprobeError, UsageError
from bnprobe.store.reader import read_run

TRAINING = """
import os, signal, sys, time
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
train(4)
"""


@pytest.fixture
def record(tmp_path):
    """Write a script, record it, and return the finished process."""

    def run(script: str, *options: str, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        (tmp_path / "train.py").write_text(TRAINING + textwrap.dedent(script))
        command = [sys.executable, "-m", "bnprobe", "record", *options, "train.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


def test_the_whole_way(record, tmp_path):
    result = record("print(sys.argv)", arguments=("--lr", "1"))
    assert (result.returncode, result.stdout) == (0, "['train.py', '--lr', '1']\n")
    (file,) = tmp_path.glob("bnprobe-train.*.h5")
    lines = result.stderr.splitlines()
    assert lines[0] == f"bnprobe: recording to {file.name}"
    assert lines[1].startswith("bnprobe: recorded 4 steps of ")
    assert lines[2].startswith("bnprobe: verdict: ")
    assert lines[3:] == [f"bnprobe: next: bnprobe report {file.name}"]
    run = read_run(file)
    assert run.steps == 4
    assert run.attributes["command"] == "bnprobe record train.py --lr 1"
    assert {"0", "1", "2"} <= {layer.name for layer in run.layers}


@pytest.mark.slow
def test_modules_beside_the_script_are_not_for_the_recorder(record, tmp_path):
    """They bear names of the library's that the recorder, its last words or the process that reads files ask for."""
    names = ("statistics", "difflib", "resource", "shlex")
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"open('{name}.ran', 'w').close()\nmine = True\n")
    result = record("import statistics, resource\nprint(statistics.mine, resource.mine)", "--strict", "-o", "run.h5")
    assert (result.returncode, result.stdout) == (0, "True True\n")
    plain = {file.name for file in tmp_path.glob("*.ran")}
    assert read_run(tmp_path / "run.h5").steps == 4
    assert "bnprobe: verdict: " in result.stderr
    for file in tmp_path.glob("*.ran"):
        file.unlink()
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert plain == {file.name for file in tmp_path.glob("*.ran")} >= {"statistics.ran", "resource.ran"}


ENDS = {
    "sys.exit(3)": (3, "exited", "sys.exit(3)"),
    "raise ValueError('no data')": (1, "crashed", "ValueError: no data"),
    "os._exit(7)": (7, "exited", "os._exit(7)"),
    "os.kill(os.getpid(), signal.SIGINT); time.sleep(9)": (-signal.SIGINT, "interrupted", "KeyboardInterrupt"),
    "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)": (-signal.SIGTERM, "interrupted", "SIGTERM"),
    "os.kill(os.getpid(), signal.SIGHUP); time.sleep(9)": (-signal.SIGHUP, "interrupted", "SIGHUP"),
    "os.fork() or sys.exit(5); os.wait(); train(2)": (0, "finished", ""),
}


# With a stand-in for torch they are part of the short suite, in tests/launch/test_lifecycle.py.
@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_ends(record, tmp_path, end):
    status, how, detail = ENDS[end]
    result = record(end, "-o", "run.h5")
    run = read_run(tmp_path / "run.h5")
    assert result.returncode == status
    assert (run.status, run.attributes["ending"]) == (how, detail)
    assert run.attributes["exit_status"] == (128 - status if status < 0 else status)
    assert run.steps == (6 if "train" in end else 4)
    assert run.problems == []
    assert result.stderr.count("next: bnprobe report run.h5") == 1


@pytest.mark.slow
def test_sigkill_leaves_a_readable_file(record, tmp_path):
    result = record("train(50)\ntime.sleep(2.1)\ntrain(3)\nos.kill(os.getpid(), signal.SIGKILL)", "-o", "run.h5")
    run = read_run(tmp_path / "run.h5")
    assert result.returncode == -signal.SIGKILL
    assert run.status == "running"
    # What is older than two seconds is on disk.
    assert run.steps >= 54
    assert run.problems == []


@pytest.mark.slow
def test_the_process_that_reads_for_the_last_words_is_waited_for(record, monkeypatch):
    """Python warns, at its very end, of a process that nobody waited for, and of its pipes."""
    monkeypatch.setenv("PYTHONWARNINGS", "default::ResourceWarning")
    result = record("")
    assert "verdict" in result.stderr
    assert [line for line in result.stderr.splitlines() if not line.startswith("bnprobe: ")] == []


@pytest.mark.slow
def test_max_steps(record, tmp_path):
    result = record("train(1000)\nprint('must not be reached')", "-q", "--max-steps", "7", "-o", "run.h5")
    run = read_run(tmp_path / "run.h5")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (run.steps, run.status, run.attributes["ending"]) == (7, "stopped", "--max-steps 7")


@pytest.mark.slow
def test_script_that_never_steps(record, tmp_path):
    (tmp_path / "idle.py").write_text("import torch\nprint(torch.ones(2).sum().item())")
    command = [sys.executable, "-m", "bnprobe", "record", "-o", "run.h5", "idle.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (0, "2.0\n")
    assert "no optimizer step was seen" in result.stderr
    assert read_run(tmp_path / "run.h5").steps == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_gone", [False, True])
def test_script_that_changes_its_folder(tmp_path, is_gone):
    (tmp_path / "elsewhere").mkdir()
    ending = "os.rmdir('../elsewhere')\n" if is_gone else ""
    (tmp_path / "train.py").write_text("import os\nos.chdir('elsewhere')\n" + TRAINING + ending)
    command = [sys.executable, "-m", "bnprobe", "record", "-o", "run.h5", "train.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0
    assert read_run(tmp_path / "run.h5").steps == 4
    assert f"next: bnprobe report {tmp_path / 'run.h5'}" in result.stderr


class TestOutput:
    """Refused before the script is started."""

    @pytest.fixture
    def refused(self, record):
        def run(*options: str) -> list[str]:
            result = record("print('must not run')", *options)
            assert (result.returncode, result.stdout) == (2, "")
            return result.stderr.splitlines()

        return run

    def test_missing_folder(self, refused):
        message, hint = refused("-o", "runs/run.h5")
        assert message == "bnprobe: cannot write 'runs/run.h5': the folder 'runs' does not exist"
        assert hint.startswith("hint: mkdir -p runs")

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that even root cannot write to")
    def test_folder_that_cannot_be_written(self, refused):
        message, hint = refused("-o", "/proc/self/run.h5")
        assert message.startswith("bnprobe: cannot write '/proc/self/run.h5': ")
        assert hint.startswith("hint: ")

    @pytest.mark.parametrize("value", ["0", "-3", "often", "1.5"])
    def test_line_probe_takes_steps_or_auto(self, refused, value):
        (message,) = refused(f"--line-probe={value}")
        assert message == f"bnprobe: --line-probe {value}: expected a number of steps, at least 1, or auto"

    def test_channels_of_a_line_probe_need_one(self, refused):
        message, hint = refused("--line-probe-channels")
        assert "there is none" in message
        assert hint == "hint: add --line-probe N"

    @pytest.mark.slow
    def test_existing_file(self, refused, record, tmp_path):
        old = tmp_path / "run.h5"
        old.write_bytes(b"\x89HDF\r\n\x1a\n")
        message, hint = refused("-o", "run.h5")
        assert message == "bnprobe: 'run.h5' already exists"
        assert "-f" in hint
        assert old.stat().st_size == 8
        assert record("", "-f", "-o", "run.h5").returncode == 0
        assert read_run(old).steps == 4

    def test_script_named_as_output_survives(self, refused, tmp_path):
        refused("-f", "-o", "train.py")
        assert (tmp_path / "train.py").read_text().startswith(TRAINING)

    def test_old_run_stays_when_there_is_nothing_to_replace_it(self, tmp_path):
        old = tmp_path / "run.h5"
        old.write_bytes(b"\x89HDF\r\n\x1a\n")
        (tmp_path / "idle.py").write_text("")
        command = [sys.executable, "-m", "bnprobe", "record", "-f", "-o", "run.h5", "idle.py"]
        assert subprocess.run(command, cwd=tmp_path, timeout=240, capture_output=True).returncode == 0
        assert old.stat().st_size == 8


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.slow
def test_live_status_on_a_terminal(tmp_path):
    """On a terminal the status line shows up, and gives way to what the script prints."""
    (tmp_path / "train.py").write_text(TRAINING + "for i in range(5):\n    time.sleep(0.3)\n    train(1)\n    print('line', i)\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bnprobe", "record", "-o", "run.h5", "train.py"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(ours)
    assert process.wait(timeout=240) == 0
    text = shown.decode()
    assert "\r\x1b[Kbnprobe: step " in text
    for row in text.replace("\r\n", "\n").split("\n"):
        visible = row.rsplit("\x1b[K", 1)[-1]
        assert not ("line" in visible and "step" in visible), row
    assert "\x1b[K" not in text[text.rindex("verdict") :]


@pytest.mark.slow
def test_under_torchrun(tmp_path):
    """Two processes: each records to a file of its own, or with `--ranks 0` the first alone to the file that was asked for."""
    (tmp_path / "train.py").write_text(TRAINING + "print('rank', os.environ['RANK'], sys.argv)")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for options, files in ((["--ranks", "0", "-o", "run.h5"], ["run.h5"]), (["-o", "each.h5"], ["each.rank0.h5", "each.rank1.h5"])):
        command = [*torchrun, "-m", "bnprobe", "record", *options, "train.py", "--lr", "1"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert result.returncode == 0, result.stderr
        assert sorted(result.stdout.splitlines()) == [f"rank {rank} ['train.py', '--lr', '1']" for rank in "01"]
        assert sorted(path.name for path in tmp_path.glob(f"{files[0][:3]}*.h5")) == files
        for number, name in enumerate(files):
            run = read_run(tmp_path / name)
            assert run.steps == 4
            assert (run.attributes["rank"], run.attributes["world_size"]) == (str(number), "2")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers(record, tmp_path, method):
    result = record(
        f"""
        class Numbers(torch.utils.data.Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, index):
                return torch.full((4,), float(index))
        if __name__ == "__main__":
            loader = torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=2, multiprocessing_context="{method}")
            for batch in loader:
                optimizer.zero_grad()
                model(batch).sum().backward()
                optimizer.step()
            print("trained")
        """,
        "-q",
        "-o",
        "run.h5",
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "trained\n", "")
    run = read_run(tmp_path / "run.h5")
    assert (run.steps, run.status, run.problems) == (6, "finished", [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--what-if", "auto", "--audit"), "--what-if has its steps on a tape, and --audit needs a tape of its own"),
        (("--what-if", "auto", "--line-probe", "5"), "--what-if has its steps on a tape, and --line-probe needs a tape of its own"),
        (("--what-if", "auto", "--figures", "ubn"), "--what-if has its steps on a tape, and --figures needs a tape of its own"),
        (("--what-if", "auto", "--remedy", "msr"), "--what-if tries remedies itself, on the training as it is"),
        (("--what-if-from-here",), "--what-if-from-here goes on with what --what-if begins"),
    ],
)
def test_options_that_exclude_each_other(tmp_path, capsys, monkeypatch, options, message):
    from bnprobe.cli.app import main

    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bnprobe", "record", *options, "train.py"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"bnprobe: {message}\nhint: ")


@pytest.mark.parametrize("options", [("--figures-at", "x"), ("--what-if", "4", "--what-if-remedy", "typo"), ("--track", "neptune")])
def test_a_mistake_on_the_command_line_leaves_no_file(tmp_path, monkeypatch, options):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BnprobeError):
        typer.main.get_command(app).main(["record", "-o", "run.h5", *options, "train.py"], standalone_mode=False)
    assert [file.name for file in tmp_path.iterdir()] == ["train.py"]


def test_one_rank_of_several_serves_the_page_and_tells_the_tracker(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    asked = []
    monkeypatch.setattr("bnprobe.cli.follow.follow_beside", lambda file: asked.append("page"))
    monkeypatch.setattr("bnprobe.cli.track.track_beside", lambda file, to: asked.append(to))
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        begun = typer.main.get_command(app).main(["record", "--follow", "--track", "wandb", "train.py"], standalone_mode=False)
        begun.keywords["claim"].release()
    assert asked == ["page", "wandb"]


@pytest.mark.parametrize(
    ("options", "ranks", "excludes"),
    [((), 1, False), (("--resume", "run.h5"), 1, True), (("--max-steps", "9"), 1, True), (("--what-if", "9"), 1, True), ((), 2, True)],
)
def test_children_are_hinted_at_where_they_can_be_asked_for(tmp_path, monkeypatch, capsys, options, ranks, excludes):
    def run(*more):
        begun = typer.main.get_command(app).main(["record", *options, *more, "train.py"], standalone_mode=False)
        begun.keywords["claim"].release()
        begun.args[4].replaced("os.execv", recorded=True)
        return capsys.readouterr().err

    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for name, value in {"RANK": 0, "WORLD_SIZE": ranks}.items():
        monkeypatch.setenv(name, str(value))
    assert ("hint: --children" in run()) != excludes
    if excludes:
        with pytest.raises(UsageError):
            run("--children")
    else:
        assert "recorded to a file beside" in run("--children")
