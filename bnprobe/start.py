"""Starts a module of this package in a process of its own, whatever else is called ``bnprobe`` where the process runs.

``python -m bnprobe...`` looks for the package in the current folder first, and takes a ``bnprobe.py`` or a folder of that name there for
it: a script's own, a clone's. This file is started by its path, and takes the package that it lies in.
"""

from __future__ import annotations

import sys

_AT_START = frozenset(sys.modules)

import importlib  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
from pathlib import Path  # noqa: E402


def command(module: str) -> list[str]:
    """Return the beginning of a command line that runs a module's ``main``; arguments follow.

    Args:
        module: "bnprobe.cli", for one.
    """
    return [sys.executable, *subprocess._args_from_interpreter_flags(), str(Path(__file__).resolve()), module]  # type: ignore[attr-defined]


def _main() -> None:
    is_first = not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated)
    # Python has put this file's folder in front, in which our modules would pass for others. Its place is kept for that of a script: by
    # a path in which nothing is found.
    if is_first:
        sys.path[0] = __file__
    spec = importlib.util.spec_from_file_location("bnprobe", Path(__file__).with_name("__init__.py"))
    assert spec is not None and spec.loader is not None
    package = sys.modules["bnprobe"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.AT_START = _AT_START  # type: ignore[attr-defined]
    if "BNPROBE_CHILDREN" in os.environ:  # of a script whose processes are recorded: this one is none of its trainings
        importlib.import_module("bnprobe.launch.children").step_aside()
    module = importlib.import_module(sys.argv.pop(1))
    module.main()


if __name__ == "__main__":
    _main()
