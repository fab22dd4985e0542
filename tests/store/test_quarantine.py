"""Whatever becomes of the process that reads, the caller gets an answer in time, and the next file is read as ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bnprobe.errors import RunFileError
from bnprobe.store import quarantine
from bnprobe.store.quarantine import ReaderDied, Refused, read_quarantined, size_limit
from bnprobe.store.reader import read_run
from tests.store.numbered_runs import NumberedRun
from tests.suites import shortened


@pytest.fixture
def path(tmp_path):
    run = NumberedRun(tmp_path / "run.h5")
    run.add_steps(5)
    return run.writer.close()


@pytest.fixture
def reader_that(monkeypatch):
    """Start servers whose readers do something else than read; ``write`` and ``pipe`` are at hand."""
    original = quarantine._PROGRAM

    def install(deed):
        quarantine.stop_server()
        lines = [
            "import sys; sys.path[:] = {path!r}",
            "import os, signal, time, struct, json",
            "from bnprobe.store import quarantine_server as server",
            "read, write = server._answer, server._write",
            "def deed(request, pipe):",
            *(f"    {line}" for line in deed.replace("{", "{{").replace("}", "}}").splitlines()),
            "server._answer = deed",
            "server.serve()",
        ]
        monkeypatch.setattr(quarantine, "_PROGRAM", "\n".join(lines))

    yield install
    monkeypatch.setattr(quarantine, "_PROGRAM", original)
    quarantine.stop_server()


def died(path, match):
    with pytest.raises(ReaderDied, match=match):
        read_quarantined(path)
    with pytest.raises(RunFileError, match=match) as caught:
        read_run(path)
    assert str(path) in str(caught.value) and caught.value.hint


DEATHS = {
    "segmentation fault": ("os.kill(os.getpid(), signal.SIGSEGV)", "HDF5 crashed .signal 11"),
    "abort": ("os.abort()", "HDF5 crashed .signal 6"),
    "out of memory": ("os.kill(os.getpid(), signal.SIGKILL)", "it was killed"),
    "exit": ("os._exit(0)", "it ended early"),
    "exception": ("raise ZeroDivisionError", "it ended early"),
    "half an answer": ("read(request, pipe); pipe.truncate = 1; os._exit(0)", "it ended early"),
    "half a record": ("pipe.write(struct.pack('<II', 100, 0) + b'{'); pipe.flush(); os._exit(0)", "it ended early"),
    "crash after half": (
        "write(pipe, {'kind': 'attributes', 'values': {}}); pipe.flush(); os.kill(os.getpid(), signal.SIGSEGV)",
        "HDF5 crashed .signal 11",
    ),
}


@pytest.mark.parametrize(("deed", "match"), shortened(DEATHS.values(), 3), ids=DEATHS.keys())
def test_a_reader_that_dies(path, reader_that, deed, match):
    reader_that(deed)
    died(path, match)


@pytest.mark.parametrize("deed", shortened(["while True: pass", "time.sleep(1000)"], 1))
def test_a_reader_that_hangs(path, reader_that, monkeypatch, deed):
    monkeypatch.setattr(quarantine, "SECONDS_AT_LEAST", 1.0)
    reader_that(deed)
    with pytest.raises(ReaderDied, match="did not finish in time"):
        read_quarantined(path)


@pytest.mark.slow
def test_a_server_that_hangs(path, reader_that, monkeypatch):
    monkeypatch.setattr(quarantine, "SECONDS_AT_LEAST", 1.0)
    monkeypatch.setattr(quarantine, "TIMER_GRACE_SECONDS", 1.0)
    reader_that("os.kill(os.getppid(), signal.SIGSTOP); os._exit(0)")
    with pytest.raises(ReaderDied, match="without an answer"):
        read_quarantined(path)


def test_a_server_that_dies(path, reader_that):
    reader_that("os.kill(os.getppid(), signal.SIGKILL); time.sleep(0.2)")
    died(path, "without an answer")


def test_a_server_that_cannot_start(path, reader_that, monkeypatch):
    quarantine.stop_server()
    monkeypatch.setattr(quarantine.sys, "executable", "/nonexistent/python")
    died(path, "could not be started")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is bounded on Linux")
def test_a_reader_that_wants_all_memory(path, reader_that):
    """Address space beyond what the file's size allows is refused by the kernel."""
    reader_that(
        "try:\n    data = bytearray(2**31)\nexcept MemoryError:\n    write(pipe, {'kind': 'refused', 'reason': 'no memory'}); return\n"
        "write(pipe, {'kind': 'refused', 'reason': 'two gigabytes'})"
    )
    with pytest.raises(Refused, match="no memory"):
        read_quarantined(path)


def test_a_reader_can_write_no_file(path, reader_that, tmp_path):
    reader_that(
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"try:\n    os.write(os.open({str(tmp_path / 'out')!r}, os.O_WRONLY | os.O_CREAT), b'x' * 100)\n"
        "except OSError as error:\n    write(pipe, {'kind': 'refused', 'reason': 'refused to write'}); return\n"
        "write(pipe, {'kind': 'refused', 'reason': 'written'})"
    )
    with pytest.raises(Refused, match="refused to write"):
        read_quarantined(path)


LIES = {
    "no JSON": "pipe.write(struct.pack('<II', 3, 0) + b'xyz')",
    "no record": "write(pipe, [1, 2])",
    "an endless line": "pipe.write(struct.pack('<II', 2**32 - 1, 0))",
    "an endless payload": "pipe.write(struct.pack('<II', 2, 2**32 - 1) + b'{}')",
    "an unknown variable": "write(pipe, {'kind': 'array', 'name': 'evil', 'shape': [1]}, bytes(8))",
    "a wrong number of axes": "write(pipe, {'kind': 'array', 'name': 'loss', 'shape': [1, 1]}, bytes(8))",
    "more than was sent": "write(pipe, {'kind': 'array', 'name': 'loss', 'shape': [100]}, bytes(8))",
    "a huge shape": "write(pipe, {'kind': 'array', 'name': 'activation_rms', 'shape': [2**40, 2**40]}, bytes(8))",
    "a negative shape": "write(pipe, {'kind': 'array', 'name': 'loss', 'shape': [-1]}, bytes(8))",
    "texts for numbers": "write(pipe, {'kind': 'array', 'name': 'loss', 'texts': ['a']})",
    "attributes that are none": "write(pipe, {'kind': 'attributes', 'values': 3})",
}


@pytest.mark.parametrize("lie", shortened(LIES.values(), 4), ids=LIES.keys())
def test_a_reader_that_lies_is_not_believed(path, reader_that, lie):
    reader_that(lie + "; write(pipe, {'kind': 'end', 'problems': []})")
    died(path, "it ended early")


def test_odd_attributes_from_a_reader_are_dropped(path, reader_that):
    reader_that(
        "write(pipe, {'kind': 'attributes', 'values': {'a': [1], 'b': None, 'c': 'kept'}})\nwrite(pipe, {'kind': 'end', 'problems': [3]})"
    )
    reply = read_quarantined(path)
    assert reply.attributes == {"c": "kept"} and reply.problems == ["3"]


def test_one_server_serves_many_files_and_is_replaced_when_it_is_gone(path):
    read_run(path)
    first = quarantine._server._process
    assert read_run(path).steps == 5
    assert quarantine._server._process is first
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert read_run(path).steps == 5
    assert quarantine._server._process is not first


def test_ctrl_c_while_reading_does_not_confuse_the_next_reading(path, reader_that):
    reader_that("time.sleep(1); read(request, pipe)")
    main = threading.main_thread().ident
    threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        read_run(path)
        time.sleep(1)
    assert read_run(path).steps == 5


def test_a_forked_process_uses_a_server_of_its_own(path):
    read_run(path)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if all(read_run(path).steps == 5 for _ in range(5)) else 2
            quarantine.stop_server()
        finally:
            os._exit(status)
    assert all(read_run(path).steps == 5 for _ in range(5))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert read_run(path).steps == 5


def test_the_package_need_not_be_on_the_path(path, monkeypatch):
    """As for ``python -m bnprobe`` in a checkout."""
    quarantine.stop_server()
    root = Path(quarantine.__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry).resolve() != root])
    assert read_run(path).steps == 5
    quarantine.stop_server()


def test_modules_beside_a_script_are_not_for_the_process_that_reads(path, monkeypatch, tmp_path):
    quarantine.stop_server()
    for name in ("json", "struct", "resource"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('the script has not asked for it')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert read_run(path).steps == 5
    quarantine.stop_server()


def test_a_read_of_another_thread_comes_to_its_end(path, reader_that, tmp_path):
    begun = tmp_path / "begun"
    reader_that(f"os.close(os.open({str(begun)!r}, os.O_CREAT)); time.sleep(0.2); read(request, pipe)")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(read_run(path).steps))
    thread.start()
    while thread.is_alive() and not begun.exists():
        time.sleep(0.01)
    quarantine.stop_server()
    thread.join()
    assert seen == [5]


def test_many_threads_read_at_once(path):
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(read_run(path).steps)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [5] * 8


def test_without_fork_a_process_reads_one_file(path, reader_that):
    reader_that("read(request, pipe)")
    quarantine._PROGRAM = quarantine._PROGRAM.replace("server.serve()", "del os.fork\nserver.serve()")
    for _ in range(2):
        run = read_run(path)
        assert run.steps == 5 and run.problems == []
    with pytest.raises(RunFileError, match="cut short"):
        path.write_bytes(path.read_bytes()[:3000])
        read_run(path)


def test_large_arrays_come_through(tmp_path):
    run = NumberedRun(tmp_path / "run.h5", layers=0, parameters=0)
    for layer in range(4):
        run.writer.add_layer(channels=100_000, layer=str(layer))
    means = np.random.default_rng(0).normal(size=(3, 400_000)).astype(np.float32)
    for step in range(3):
        run.writer.append_snapshot({"snapshot": step, "channel_mean": means[step]})
    run.writer.close()
    assert np.array_equal(read_run(tmp_path / "run.h5")["channel_mean"], means)


def test_the_limit_follows_the_file():
    assert size_limit(0) == 64 * 2**20
    assert size_limit(2**20) == 200 * 2**20
    assert size_limit(2**50) == 16 * 2**30


def test_the_server_ends_with_its_parent(path):
    program = f"""
import os
from bnprobe.store import quarantine
from bnprobe.store.reader import read_run
read_run({str(path)!r})
print(quarantine._server._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    server = int(result.stdout)
    for _ in range(100):
        try:
            os.kill(server, 0)
            state = Path(f"/proc/{server}/stat").read_text().split()[2]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent")
