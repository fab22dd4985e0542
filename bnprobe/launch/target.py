"""What the user wants to run, checked before anything is started.

A mistyped name is answered with the names that lie beside it, and a launcher given by habit (``python``, ``torchrun``) with
the command that was meant.
"""

from __future__ import annotations

import difflib
import importlib.machinery
import os
import pkgutil
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.launch import notebook

_LAUNCHERS = {
    "torchrun": "torchrun --nproc-per-node=N -m bnprobe record train.py",
    "accelerate": "accelerate launch -m bnprobe record train.py",
    "deepspeed": "deepspeed --module bnprobe record train.py",
    "python": "bnprobe record train.py",
    "python3": "bnprobe record train.py",
}
_LAUNCHER_MODULES = {
    "torch.distributed.run": "python -m torch.distributed.run --nproc-per-node=N -m bnprobe record train.py",
    "torch.distributed.launch": "python -m torch.distributed.run --nproc-per-node=N -m bnprobe record train.py",
    "accelerate.commands.launch": "python -m accelerate.commands.launch -m bnprobe record train.py",
}


@dataclass(frozen=True)
class Target:
    """A script, notebook or module and the arguments that belong to it.

    Attributes:
        name: The file (a notebook's too) or folder as typed, or the dotted module name.
        is_module: True if ``name`` is a module name (``-m``).
        arguments: What the script finds in ``sys.argv[1:]``.
    """

    name: str
    is_module: bool
    arguments: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """A short name that is fit for a file name: ``train`` for ``runs/train.py``, ``pkg.train`` for a module."""
        return self.name if self.is_module else (Path(self.name).stem or Path(self.name).resolve().name)

    @property
    def is_notebook(self) -> bool:
        """Whether its code stands in the cells of a notebook."""
        return not self.is_module and notebook.is_notebook(self.name)

    @property
    def path(self) -> str:
        """The absolute path of a file target, joined as python joins it for ``__file__``: without normalising ``..``."""
        return os.path.join(os.getcwd(), self.name)


def resolve(name: str, is_module: bool, arguments: Iterable[str]) -> Target:
    """Check that a target can be started and return it.

    Args:
        name: File, notebook, folder or zip archive; or a module name if ``is_module``.
        is_module: Whether ``-m`` was given.
        arguments: The script's own arguments. One leading ``--`` only separates them from ours and is dropped.

    Returns:
        The target, with its arguments.

    Raises:
        UsageError: There is no such file or module, it cannot be read, or it is a notebook that cannot be run here.
    """
    own = tuple(arguments)
    if own[:1] == ("--",):
        own = own[1:]
    target = Target(name, is_module, own)
    if is_module:
        _check_module(name)
    else:
        _check_file(target)
    if target.is_notebook:
        notebook.check(name)
    return target


def is_container(path: str) -> bool:
    """Whether ``path`` is a folder or zip archive, which python runs by the ``__main__.py`` inside it."""
    return pkgutil.get_importer(path) is not None


def _check_file(target: Target) -> None:
    name = target.name
    if name == "-":
        raise UsageError(
            "cannot run '-': a script is read from a file, not from the standard input", "name /dev/stdin, or save it to a file"
        )
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        raise UsageError(f"cannot run '{name}': no such file", _hint_for_missing_file(name)) from None
    except OSError as error:
        raise UsageError(f"cannot run '{name}': {error.strerror}", "check the path and its permissions") from None
    if stat.S_ISREG(mode):  # a pipe or device can be read only once, and that is the runner's turn
        try:
            with open(name, "rb"):
                pass
        except OSError as error:
            raise UsageError(f"cannot read '{name}': {error.strerror}", "check the permissions of the file") from None
    if is_container(target.path):
        if importlib.machinery.PathFinder.find_spec("__main__", [target.path]) is None:
            kind = "a folder" if stat.S_ISDIR(mode) else "an archive"
            raise UsageError(
                f"cannot run '{name}': it is {kind} without a __main__.py",
                _suggest(_scripts_in(Path(name)), "name the script inside it") if stat.S_ISDIR(mode) else None,
            )
    elif stat.S_ISDIR(mode):
        raise UsageError(f"cannot run '{name}': the folder cannot be read", "check the permissions of the folder")


def _hint_for_missing_file(name: str) -> str:
    if name in _LAUNCHERS:
        return f"put bnprobe next to the script: {_LAUNCHERS[name]}"
    path = Path(name)
    near = difflib.get_close_matches(path.name, _names_in(path.parent), n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(str(path.parent / other) for other in near) + "?"
    if not path.suffix and not path.parent.name and _find(name) is not None:
        return f"'{name}' is a module: bnprobe record -m {name}"
    if not path.parent.is_dir():
        return f"there is no folder '{path.parent}'"
    return _suggest(_scripts_in(path.parent), f"there is no python file in '{path.parent.resolve()}'")


def _suggest(scripts: list[str], otherwise: str) -> str:
    """Name a few scripts that could be run instead."""
    if not scripts:
        return otherwise
    more = ", ..." if len(scripts) > 5 else ""
    return "scripts there: " + ", ".join(scripts[:5]) + more


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _scripts_in(folder: Path) -> list[str]:
    return [str(folder / name) for name in _names_in(folder) if name.endswith((".py", notebook.SUFFIX))]


def _check_module(name: str) -> None:
    """Look for a module without importing anything: its packages belong to the script and may import torch."""
    if name.endswith(".py") or os.sep in name:
        raise UsageError(f"cannot run '{name}' with -m: it is a file, not a module name", f"leave -m out: bnprobe record {name}")
    if name in _LAUNCHER_MODULES:
        raise UsageError(
            f"cannot record -m {name}: it trains in processes of its own",
            f"put bnprobe next to the script: {_LAUNCHER_MODULES[name]}",
        )
    found = ""
    folders: list[str] | None = None
    for part in name.split("."):
        wanted = f"{found}.{part}" if found else part
        spec = _find(wanted, folders) if part else None
        if spec is None:
            raise UsageError(f"cannot run -m {name}: no module named '{wanted}'", _hint_for_module(found, part, folders))
        found = wanted
        folders = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        if folders is None and found != name:
            raise UsageError(f"cannot run -m {name}: '{found}' is a module, not a package", None)
    if folders is not None and _find(f"{name}.__main__", folders) is None:
        raise UsageError(f"cannot run -m {name}: it is a package without a __main__ module", "name the module inside it")


def _find(name: str, folders: list[str] | None = None) -> importlib.machinery.ModuleSpec | None:
    """Ask every finder for a module, as an import would, with the current folder first for a top-level name."""
    if folders is None and name not in sys.builtin_module_names:
        here = importlib.machinery.PathFinder.find_spec(name, [os.getcwd()])
        # A bare folder is only a namespace package, which a real module further down sys.path outranks.
        if here is not None and here.loader is not None and not _is_safe_path():
            return here
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, folders, None)
        except KeyError:
            # A bare folder inside a package: its spec asks sys.modules for the package around it, which nobody has imported.
            spec = finder.find_spec(name.rpartition(".")[2], folders, None)
        if spec is not None:
            return spec
    return importlib.machinery.PathFinder.find_spec(name, [os.getcwd()]) if folders is None else None


def _hint_for_module(package: str, part: str, folders: list[str] | None) -> str:
    names = [info.name for info in pkgutil.iter_modules(folders if package else [os.getcwd()])]
    near = difflib.get_close_matches(part, names, n=3, cutoff=0.6)
    prefix = f"{package}." if package else ""
    if near:
        return "did you mean " + " or ".join(prefix + other for other in near) + "?"
    if not package:
        return "run it from the folder that holds it, or install it in this environment"
    return f"modules in {package}: " + ", ".join(sorted(names)[:8])


def _is_safe_path() -> bool:
    """Whether the interpreter was told (``-P``, ``-I``) to keep the script's folder out of ``sys.path``."""
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)
