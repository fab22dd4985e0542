"""Every way a script can end: plain python's exit status is kept, and the file learns how it ended, once."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from bnprobe.launch.ending import Ending, from_replacement
from bnprobe.launch.lifecycle import Lifecycle, _can_be_started
from tests.suites import shortened_to

TORCH = "import os, signal, sys, threading, time\nimport torch\ntorch.step()\n"

ENDS = {
    "last line": ("", ("finished", "", 0)),
    "sys.exit()": ("sys.exit()", ("finished", "sys.exit()", 0)),
    "sys.exit(0)": ("sys.exit(0)", ("finished", "sys.exit(0)", 0)),
    "sys.exit(3)": ("sys.exit(3)", ("exited", "sys.exit(3)", 3)),
    "sys.exit(-1)": ("sys.exit(-1)", ("exited", "sys.exit(-1)", 255)),
    "sys.exit(True)": ("sys.exit(True)", ("exited", "sys.exit(1)", 1)),
    "sys.exit(text)": ("sys.exit('no data')", ("exited", "sys.exit('no data')", 1)),
    "raise SystemExit": ("raise SystemExit(4)", ("exited", "sys.exit(4)", 4)),
    "exit()": ("exit(5)", ("exited", "sys.exit(5)", 5)),
    "exception": ("raise ValueError('no data')", ("crashed", "ValueError: no data", 1)),
    "exception group of lines": ("raise ValueError('a\\nb')", ("crashed", "ValueError: a", 1)),
    "base exception": ("class Odd(BaseException): pass\nraise Odd", ("crashed", "Odd", 1)),
    "generator exit": ("raise GeneratorExit", ("crashed", "GeneratorExit", 1)),
    "end of file": ("input()", ("crashed", "EOFError: EOF when reading a line", 1)),
    "keyboard interrupt": ("raise KeyboardInterrupt", ("interrupted", "KeyboardInterrupt", 130)),
    "os._exit(7)": ("os._exit(7)", ("exited", "os._exit(7)", 7)),
    "os._exit(0)": ("os._exit(0)", ("exited", "os._exit(0)", 0)),
    "os._exit in a thread": (
        "threading.Thread(target=os._exit, args=(9,)).start(); time.sleep(60)",
        ("exited", "os._exit(9)", 9),
    ),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", ("interrupted", "SIGTERM", 143)),
    "SIGTERM to threads after an exception": (
        "def late():\n    time.sleep(0.2)\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(60)\n"
        "threading.Thread(target=late).start()\nraise ValueError('no data')",
        ("crashed", "ValueError: no data", 143),
    ),
    "SIGTERM to threads after the last line": (
        "def late():\n    time.sleep(0.2)\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(60)\n"
        "threading.Thread(target=late).start()",
        ("interrupted", "SIGTERM", 143),
    ),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP); time.sleep(60)", ("interrupted", "SIGHUP", 129)),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", ("interrupted", "KeyboardInterrupt", 130)),
    "exit from an exit function": (
        "import atexit\natexit.register(lambda: os._exit(6))",
        ("exited", "os._exit(6)", 6),
    ),
    "all exit functions run early": ("import atexit\natexit._run_exitfuncs()", ("finished", "", 0)),
    "all exit functions run early, then os._exit": (
        "import atexit\natexit._run_exitfuncs()\nos._exit(8)",
        ("exited", "os._exit(8)", 8),
    ),
}


#: One end of each kind.
SHORT = {"last line", "sys.exit(text)", "exception", "keyboard interrupt", "os._exit(7)", "SIGTERM", "exit from an exit function"}


@pytest.mark.parametrize("name", shortened_to(ENDS, SHORT))
def test_exit_status_and_output_are_those_of_plain_python(bench, name):
    text, expected = ENDS[name]
    script = bench.write("train.py", TORCH + text)

    plain = bench.plain(script.name)
    recorded = bench.record(script.name)

    assert (recorded.status, recorded.stdout, recorded.stderr) == (plain.status, plain.stdout, plain.stderr)
    assert recorded.ending == expected
    # A shell's view of a death by signal, where python's own is negative.
    assert expected[2] == (128 - plain.status if plain.status < 0 else plain.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_from_outside(bench, number):
    script = bench.write("train.py", TORCH + "print('ready', flush=True)\ntime.sleep(60)")

    statuses = []
    for recorded in (False, True):
        process = bench.start(script.name, recorded=recorded)
        process.send_signal(number)
        statuses.append(bench.finished(process))

    assert statuses[0].status == statuses[1].status == -number
    assert statuses[1].ending[0] == "interrupted"
    # The line it was at is a matter of chance.
    assert statuses[0].stderr.splitlines()[-1:] == statuses[1].stderr.splitlines()[-1:]


def test_sigkill_leaves_the_file_as_it_was(bench):
    script = bench.write("train.py", TORCH + "print('ready', flush=True)\ntime.sleep(60)")
    process = bench.start(script.name, recorded=True)
    process.kill()
    result = bench.finished(process)
    assert result.status == -signal.SIGKILL
    assert [event["event"] for event in result.events] == ["install"]


def test_handler_of_the_script_stays_in_charge(bench):
    script = bench.write(
        "train.py",
        TORCH
        + """
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(42))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
    )
    result = bench.record(script.name)
    assert (result.status, result.ending) == (42, ("exited", "sys.exit(42)", 42))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_ignored_signal_stays_ignored(bench):
    """``nohup bnprobe record ...`` must outlive its terminal."""
    script = bench.write("train.py", "import os, signal, torch\nos.kill(os.getpid(), signal.SIGHUP)\nprint('still here')")
    command = bench.command("-q", script.name)
    ignoring = f"import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv({command[0]!r}, {command})"
    result = bench.plain("-c", ignoring)
    assert (result.status, result.stdout) == (0, "still here\n")


def test_recording_ends_after_threads_and_exit_functions(bench):
    script = bench.write(
        "train.py",
        TORCH
        + """
import atexit
atexit.register(torch.step)
def late():
    time.sleep(0.3)
    torch.step()
threading.Thread(target=late).start()
""",
    )
    result = bench.record(script.name)
    assert result.events[-1]["steps"] == 3
    assert result.ending == ("finished", "", 0)


def test_max_steps_ends_the_script_cleanly(bench):
    script = bench.write(
        "train.py",
        TORCH
        + """
try:
    while True:
        try:
            torch.step()
        except Exception:
            print('must not be seen')
finally:
    print('cleaned up')
""",
    )
    result = bench.record(script.name, options=("-q", "--max-steps", "5"))
    assert (result.status, result.stdout, result.stderr) == (0, "cleaned up\n", "")
    assert result.events[-1]["steps"] == 5
    assert result.ending == ("stopped", "--max-steps 5", 0)


FORKED_ENDS = {
    "sys.exit": "sys.exit(3)",
    "os._exit": "os._exit(3)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "exception": "raise ValueError('child')",
}


@pytest.mark.parametrize("name", FORKED_ENDS)
def test_forked_child_leaves_the_file_alone(bench, name):
    script = bench.write(
        "train.py",
        TORCH
        + f"""
child = os.fork()
if child == 0:
    torch.observers.clear()
    {FORKED_ENDS[name]}
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status)
torch.step()
""",
    )
    abandoned = bench.folder / "abandoned"
    plain = bench.plain(script.name)
    result = bench.record(script.name, ABANDONED=str(abandoned))
    assert (result.status, result.stdout) == (0, plain.stdout)
    assert [event["event"] for event in result.events] == ["install", "finish"]
    assert result.ending == ("finished", "", 0)
    assert abandoned.read_text() == "abandoned\n"


def test_child_forked_before_torch_is_not_recorded(bench):
    script = bench.write(
        "train.py",
        """
        import os
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        else:
            import torch
            torch.step()
        """,
    )
    result = bench.record(script.name, options=())
    assert result.status == 0
    assert result.stderr.count("never imported torch") == 1
    assert not bench.output.exists()


def test_program_that_replaces_itself_keeps_what_was_recorded(bench):
    script = bench.write("train.py", TORCH + "os.execl(sys.executable, sys.executable, '-c', 'print(1)')")
    result = bench.record(script.name, options=())
    assert (result.status, result.stdout) == (0, "1\n")
    assert [event["event"] for event in result.events] == ["install", "leave_off"]
    assert result.events[-1]["ending"] == {"status": "exited", "detail": "os.execv", "exit_status": None}
    assert "another program takes the script's place (os.execv); what was recorded before is in" in result.stderr


def test_program_that_cannot_be_started_ends_no_recording(bench):
    broken = bench.write("broken", "\0")
    broken.chmod(0o700)
    script = bench.write(
        "train.py",
        TORCH
        + """
for program in ("./broken", "missing"):
    try:
        os.execlp(program, program)
    except OSError as error:
        print(type(error).__name__)
""",
    )
    result = bench.record(script.name, options=())
    assert (result.status, result.stdout) == (0, "OSError\nFileNotFoundError\n")
    said = [line.split("; ")[-1] for line in result.stderr.splitlines() if "; " in line]
    assert said == [f"what was recorded before is in {bench.output}", "the recording goes on"]
    assert [event["event"] for event in result.events] == ["install", "leave_off", "leave_off", "finish"]
    assert result.events[2]["ending"] is None
    assert result.ending == ("finished", "", 0)


@pytest.mark.parametrize(("last", "ending"), [("raise ValueError('no data')", ("crashed", "ValueError: no data")), ("", ("finished", ""))])
def test_what_ended_a_script_ended_it_though_another_program_follows(bench, last, ending):
    restart = "import atexit; atexit.register(os.execl, sys.executable, sys.executable, '-c', 'print(1)')"
    result = bench.record(bench.write("train.py", f"{TORCH}\n{restart}\n{last}\n").name)
    assert (result.status, result.stdout) == (0, "1\n")
    assert [event["event"] for event in result.events] == ["install", "leave_off"]
    found = result.events[-1]["ending"]
    assert (found["status"], found["detail"], found["exit_status"]) == (*ending, None)


@pytest.mark.parametrize(("how", "known"), [("crashed", True), ("finished", False), ("exited", False)])
def test_a_process_of_a_script_that_may_be_at_its_end(how, known):
    """It learns of an uncaught exception alone: what ``sys.exit`` was given the script may have caught."""
    lifecycle = Lifecycle(lambda: None, None, how_it_ended=lambda: Ending(how, "before", 1))
    assert lifecycle._ending_before("os.execv") == (Ending(how, "before", None) if known else from_replacement("os.execv"))


def test_a_program_can_be_started_by_the_effective_user(monkeypatch):
    is_asked = os.access in os.supports_effective_ids
    monkeypatch.setattr(os, "access", lambda path, mode, *, effective_ids=False: effective_ids)
    assert _can_be_started(sys.executable) == is_asked


@pytest.mark.parametrize("option", ["-q", "--max-steps=9", "--what-if=12"])
def test_the_hint_on_another_program_can_be_followed(bench, option):
    script = bench.write("train.py", TORCH + "os.execl(sys.executable, sys.executable, '-c', 'print(1)')")
    said = bench.record(script.name, options=(option,)).stderr
    assert "--children" not in said
    assert ("another program" in said) == (option != "-q")


def test_repeated_signals_do_not_wait_for_a_slow_disk(bench):
    script = bench.write(
        "train.py",
        TORCH
        + """
recorder = torch.observers[0].__self__
def slow(ending):
    print('closing', flush=True)
    time.sleep(60)
recorder.finish = slow
print('ready', flush=True)
time.sleep(60)
""",
    )
    process = bench.start(script.name, recorded=True)
    process.terminate()
    assert process.stdout.readline() == "closing\n"
    for _ in range(100):  # signals that come at once may be merged into one
        process.terminate()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    assert bench.finished(process).status == -signal.SIGTERM


def test_ctrl_c_while_closing_does_not_lose_the_file(bench):
    script = bench.write(
        "train.py",
        TORCH
        + """
recorder = torch.observers[0].__self__
finish = recorder.finish
def interrupted(ending):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    finish(ending)
recorder.finish = interrupted
""",
    )
    result = bench.record(script.name)
    assert (result.status, result.stderr) == (0, "")
    assert result.ending == ("finished", "", 0)


class TestFaultsOfOurs:
    def test_recorder_that_cannot_start_lets_the_script_run(self, bench):
        script = bench.write("train.py", TORCH + "print('trained')\nsys.exit(3)")
        result = bench.record(script.name, FAKE_FAULT="init")
        assert (result.status, result.stdout) == (3, "trained\n")
        assert result.stderr.splitlines() == [
            "bnprobe: the recording failed: OSError: the disk is on fire",
            "bnprobe: nothing was recorded",
        ]

    def test_strict_raises_it_in_the_script(self, bench):
        script = bench.write("train.py", TORCH + "print('trained')")
        result = bench.record(script.name, options=("-q", "--strict"), FAKE_FAULT="init")
        assert (result.status, result.stdout) == (1, "")
        assert "OSError: the disk is on fire" in result.stderr
        assert "never imported torch" not in result.stderr

    def test_a_refusal_ends_the_script_and_nothing_untrue_is_said(self, bench):
        script = bench.write("train.py", TORCH + "print('trained')")
        result = bench.record(script.name, FAKE_FAULT="refuse")
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.splitlines() == ["bnprobe: this is another training", f"bnprobe: no step was added to {bench.output}"]

    def test_a_refusal_that_the_script_catches_is_said_at_the_end(self, bench):
        script = bench.write("train.py", "try:\n    import torch\nexcept Exception:\n    print('trained without')\n")
        result = bench.record(script.name, FAKE_FAULT="refuse")
        assert (result.status, result.stdout) == (0, "trained without\n")
        assert result.stderr.splitlines() == [
            "bnprobe: the script caught this and went on unrecorded: this is another training",
            f"bnprobe: no step was added to {bench.output}",
        ]

    def test_fault_at_the_end_keeps_the_exit_status(self, bench):
        script = bench.write("train.py", TORCH + "sys.exit(3)")
        result = bench.record(script.name, FAKE_FAULT="finish")
        assert result.status == 3
        assert "the disk is on fire" in result.stderr
        assert "Traceback" not in result.stderr

    def test_closed_stderr_keeps_the_exit_status(self, bench):
        script = bench.write("train.py", TORCH + "sys.stderr.close()\nsys.exit(3)")
        assert bench.record(script.name, options=()).status == 3


def test_executed_children_meet_the_signals_they_would_meet_anyway(bench):
    script = bench.write("train.py", TORCH + "import subprocess\nsubprocess.run([sys.executable, 'child.py'])")
    bench.write("child.py", "import signal\nprint(*(signal.getsignal(n) for n in (1, 2, 15)))")
    assert bench.record(script.name).stdout == bench.plain(script.name).stdout != ""


def test_a_script_sees_no_handler_of_ours(bench):
    script = bench.write(
        "train.py",
        "import os, signal, time\nimport torch\ntorch.step()\n"
        "print(signal.getsignal(15), signal.getsignal(1), signal.signal(15, signal.SIG_DFL), signal.getsignal(15), flush=True)\n"
        "os.kill(os.getpid(), 15); time.sleep(60)\n",
    )
    result = bench.record(script.name)
    assert result.stdout == "0 0 0 0\n"
    assert result.status == -signal.SIGTERM
