"""``bnprobe`` as it would run on another system, as far as that can be had here: ``elsewhere.py darwin|win32 everything|COMMAND...``.

What that system lacks is taken away before the first file of bnprobe is imported; libraries of others are imported before, as they know
their system by themselves. ``everything`` imports every module of the package.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import io
import json
import os
import pkgutil
import signal
import subprocess  # noqa: F401 - before the system is another
import sys
import sysconfig
from typing import Any

import h5py  # noqa: F401
import jinja2  # noqa: F401
import plotly.graph_objects  # noqa: F401
import torch
import torch._dynamo  # noqa: F401 - the first optimizer imports it, and what it finds installed
import torch.multiprocessing  # noqa: F401
import typer  # noqa: F401

#: Names of ``os`` and ``signal``, and modules, that are missing there. SIGKILL stays: python ends processes by it on this system.
LACKS = {
    "darwin": (
        ("sched_getaffinity", "unshare", "setns", "memfd_create", "pidfd_open", "O_PATH", "O_TMPFILE", "pipe2", "posix_fallocate"),
        ("SIGPWR", "SIGRTMIN"),
        (),
    ),
    "win32": (
        (
            *("fork", "forkpty", "register_at_fork", "wait", "wait3", "wait4", "setsid", "getpgid", "setpgid", "killpg", "nice", "mkfifo"),
            *("getuid", "geteuid", "getgid", "pread", "pwrite", "preadv", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "statvfs", "chroot"),
            *("sched_getaffinity", "sysconf", "unshare", "setns", "memfd_create", "O_PATH", "O_TMPFILE", "pipe2", "fchmod", "fchown"),
        ),
        ("SIGHUP", "SIGALRM", "SIGUSR1", "SIGCHLD", "alarm", "setitimer", "pthread_sigmask", "pthread_kill", "sigwait"),
        ("fcntl", "resource", "pty", "termios", "tty", "pwd", "grp"),
    ),
}
#: Functions of the C library that only Linux has.
ONLY_LINUX = ("prctl", "unshare", "mount", "syscall")


class _Library:
    """The C library of another system."""

    def __init__(self, library: Any) -> None:
        object.__setattr__(self, "_library", library)

    def __getattr__(self, name: str) -> Any:
        if name in ONLY_LINUX:
            raise AttributeError(f"there is no {name} here")
        return getattr(self._library, name)


def move(system: str) -> None:
    """Take away what a system lacks."""
    names, signals, modules = LACKS[system]
    for owner, missing in ((os, names), (signal, signals)):
        for name in missing:
            if hasattr(owner, name):
                delattr(owner, name)
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]
    load, open_there, open_low, kill = ctypes.CDLL, io.open, os.open, os.kill

    def library(name: str | None, *arguments: Any, **options: Any) -> Any:
        if name is None and system == "win32":
            raise TypeError("bad argument type for built-in operation")
        found = load(name, *arguments, **options)
        return _Library(found) if name is None else found

    def without_proc(original: Any) -> Any:
        def opened(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith("/proc"):
                raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
            return original(path, *arguments, **options)

        return opened

    def end(pid: int, number: int) -> None:
        if number == 0:
            raise AssertionError("signal 0 is Ctrl-C on Windows")
        kill(pid, number)

    ctypes.CDLL = library  # type: ignore[assignment, misc]
    builtins.open = io.open = without_proc(open_there)
    os.open = without_proc(open_low)
    if system == "win32":
        os.kill = end
        ctypes.WinDLL = lambda name: _Kernel()  # type: ignore[attr-defined]
    sys.platform = system


class _Kernel:
    """The kernel of Windows, on which every process is alive."""

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:
        return pid

    def WaitForSingleObject(self, handle: int, milliseconds: int) -> int:
        return 0x102

    def CloseHandle(self, handle: int) -> None:
        pass


def everything() -> list[str]:
    """Import every module; return those that could not be, with why."""
    import bnprobe

    found = []
    for module in pkgutil.walk_packages(bnprobe.__path__, "bnprobe."):
        if module.name.endswith(("__main__", "sitecustomize", "._fused")) or ".sample_runs" in module.name or ".trainers." in module.name:
            continue
        try:
            importlib.import_module(module.name)
        except Exception as error:
            if not isinstance(error, ModuleNotFoundError) or (error.name or "").split(".")[0] in ("bnprobe", *LACKS[sys.platform][2]):
                found.append(f"{module.name}: {type(error).__name__}: {error}")
    return found


def main() -> None:
    system, *command = sys.argv[1:]
    torch.set_num_threads(1)
    sysconfig.get_config_vars()  # those of this Python, which are read once
    move(system)
    if command == ["everything"]:
        print(json.dumps(everything()))
        return
    from bnprobe.store import quarantine

    if system == "win32":  # the process that reads files is another one, and lacks the same
        quarantine._PROGRAM = f"import os; del os.fork, os.wait4; {quarantine._PROGRAM}"
    from bnprobe.cli import main as bnprobe

    sys.argv = ["bnprobe", *command]
    bnprobe()


if __name__ == "__main__":
    main()
