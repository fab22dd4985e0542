"""Modules beside a script that are called as one that we import: ``calendar.py``, ``email.py``, ``secrets.py``.

Python looks for a module beside the script before it looks into its library. By the time a recorded script begins, much of the library is
in ``sys.modules`` already, where an import finds it without looking anywhere. And what we import later we want from the library.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

import bnprobe
from bnprobe import own_imports


def forget_namesakes(folder: str) -> None:
    """Let the imports of a script find what lies beside it, as they would had we imported nothing. Ours find what they found before.

    Args:
        folder: the first of ``sys.path``, or what python will put there.
    """
    path = sys.path[1:] if sys.path[:1] == [folder] else sys.path
    ours = sys.stdlib_module_names | {name.partition(".")[0] for name in list(sys.modules)}
    own_imports.part([name for name in _modules_of(folder) & ours if _lies_beside(name, folder)], path)


def _modules_of(folder: str) -> set[str]:
    try:
        return {entry.partition(".")[0] for entry in os.listdir(folder or os.curdir)}
    except OSError:
        return set()  # an archive, or a folder that is gone


def _lies_beside(name: str, folder: str) -> bool:
    """Whether a script gets another module by a name than we have, or would have."""
    if name in bnprobe.AT_START or name in ("bnprobe", "__main__") or _comes_first(name):
        return False
    spec = importlib.machinery.PathFinder.find_spec(name, [folder])
    if spec is None or spec.loader is None:  # a bare folder, which any module outranks
        return False
    return name not in sys.modules or not _is_same(getattr(sys.modules[name], "__file__", None), spec.origin)


def _is_same(file: str | None, other: str | None) -> bool:
    """Whether two paths lead to one file: the script's folder has no links in it, an entry of PYTHONPATH may have."""
    try:
        return file is not None and other is not None and os.path.samefile(file, other)
    except OSError:
        return file == other


def _comes_first(name: str) -> bool:
    """Whether a module is a part of the interpreter, for which no folder is searched."""
    finders = (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter)
    return any(finder.find_spec(name) is not None for finder in finders)
