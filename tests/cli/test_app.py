from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bnprobe import __version__

COMMANDS = ["record", "report", "inspect", "demo"]


def bnprobe(*arguments: str, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bnprobe", *arguments], capture_output=True, text=True, timeout=240, cwd=cwd)


def test_version():
    result = bnprobe("--version")
    assert (result.returncode, result.stdout) == (0, f"bnprobe {__version__}\n")


def test_help_lists_every_command_with_examples():
    result = bnprobe("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in COMMANDS)
    assert "bnprobe record train.py --lr 0.1" in result.stdout
    assert "--install-completion" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_how_to_use_it(command):
    result = bnprobe(command, "--help")
    assert result.returncode == 0
    assert f"bnprobe {command} " in result.stdout


def test_nothing_at_all_shows_the_help():
    result = bnprobe()
    assert result.returncode == 2
    assert "record" in result.stdout + result.stderr
    assert "bnprobe: \n" not in result.stderr


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["record", "--help"], ["record", "nothing.py"]])
def test_nothing_heavy_is_imported(command):
    code = (
        "import sys, atexit\n"
        "heavy = {'torch', 'numpy', 'h5py', 'scipy', 'plotly', 'jinja2', 'multiprocessing', 'asyncio'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        f"sys.argv[1:] = {command}\n"
        "from bnprobe.cli import main\n"
        "main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert "heavy: []" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["record", "--evry", "3", "train.py"], "no such option: --evry (Possible options: --every)", "bnprobe record --help"),
        (["recrd"], "no such command 'recrd'. Did you mean 'record'?", "bnprobe --help"),
        (["record"], "missing argument 'TARGET'", "bnprobe record --help"),
        (["record", "--every", "0", "train.py"], "invalid value for '--every'", "bnprobe record --help"),
        (["record", "--max-steps", "few", "train.py"], "invalid value for '--max-steps'", "bnprobe record --help"),
        (["record", "-o"], "option '-o' requires an argument", "--help"),
        (["record", "nothing.py"], "cannot run 'nothing.py': no such file", "hint: "),
        (["record", "--budget", "nan", "train.py"], "invalid value for '--budget'", "bnprobe record --help"),
    ],
)
def test_mistyped_command_lines(tmp_path, arguments, message, hint):
    (tmp_path / "train.py").write_text("print('must not run')")
    result = bnprobe(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"bnprobe: {message}")
    assert second.startswith("hint: ") and hint in second


def test_fault_of_ours_is_one_sentence_and_the_way_to_its_traceback():
    code = (
        "import sys, bnprobe.launch.target\n"
        "def broken(*arguments): raise KeyError('inside')\n"
        "bnprobe.launch.target.resolve = broken\n"
        "from bnprobe.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code]
    quiet = subprocess.run([*command, "record", "train.py"], capture_output=True, text=True, timeout=240)
    assert quiet.returncode == 1
    assert quiet.stderr.splitlines()[0] == "bnprobe: KeyError: 'inside'"
    assert quiet.stderr.splitlines()[1].endswith("bnprobe --debug record train.py")
    assert len(quiet.stderr.splitlines()) == 2
    loud = subprocess.run([*command, "--debug", "record", "train.py"], capture_output=True, text=True, timeout=240)
    assert "Traceback" in loud.stderr and loud.returncode == 1


def test_console_script_and_module_are_the_same_program():
    code = "import importlib.metadata as m; [e] = [e for e in m.entry_points(group='console_scripts') if e.name == 'bnprobe']; e.load()()"
    result = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=240)
    assert result.stdout == f"bnprobe {__version__}\n"


@pytest.mark.parametrize(
    ("shell", "words", "expected"), [("bash", "bnprobe re", {"record", "report"}), ("zsh", "bnprobe record --ev", {"--every"})]
)
def test_shell_completion(shell, words, expected):
    environment = {
        **os.environ,
        "_BNPROBE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_TYPER_COMPLETE_ARGS": words,
    }
    result = subprocess.run([sys.executable, "-m", "bnprobe"], capture_output=True, text=True, timeout=240, env=environment)
    assert all(word in result.stdout for word in expected)
    assert "demo" not in result.stdout
