"""Who may know whom: the folders of the package and the imports between them (see docs/architecture.md)."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import bnprobe

PACKAGE = Path(bnprobe.__file__).parent

#: What each folder may import of the package. The command line knows all.
ALLOWED = {
    "launch": {"launch", "observe.attaching.frames", "observe.options", "observe.recorder", "observe.trial", "interventions.at_work"},
    "interventions": {"interventions", "observe.attaching.patches", "observe.remedies.injector", "remedies.answers", "remedies.scope"},
    "experiments": {
        "experiments",
        "diagnose",
        "analyse",
        "store.reader",
        "store.schema",
        "store.confirm_file",
        "store.limits_file",
        "store.comparison_file",
        "interventions.catalogue",
        "remedies.catalogue",
        "remedies.specification",
    },
    "observe": {"observe", "measure", "store.writer", "store.earlier", "store.schema", "remedies", "what_if.companion"},
    "what_if": {"what_if", "observe", "measure", "remedies", "analyse", "diagnose", "experiments.limits.plan", "store"},
    "measure": {"measure"},
    "store": {"store"},
    "analyse": {"analyse", "store.reader", "store.schema", "store.limits_file", "store.comparison_file", "remedies.specification"},
    "ranks": {"ranks", "store.reader", "store.schema"},
    "diagnose": {"diagnose", "analyse", "store.reader", "store.schema", "store.confirm_file"},
    "remedies": {"remedies", "measure"},
    "report": {
        "report",
        "ranks",
        "diagnose",
        "analyse",
        "store.reader",
        "store.schema",
        "store.limits_file",
        "store.comparison_file",
        "store.confirm_file",
    },
    "integrations": {
        "integrations",
        "report",
        "ranks",
        "diagnose",
        "analyse",
        "store.reader",
        "store.schema",
        "launch",
        "observe.options",
        "observe.recorder",
        "remedies",
    },
}
#: Files that every folder may import.
GROUND = set("errors processes divergence identity module_parts numerals originals own_imports start torch_private __version__".split())
TORCH_FOLDERS = {"observe", "measure", "remedies", "interventions", "what_if", "torch_private"}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in the file, except for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_knows_only_whom_it_may(folder: str) -> None:
    for path in files(folder):
        for name in imports(path):
            if not name.startswith("bnprobe."):
                continue
            inside = name.removeprefix("bnprobe.")
            if inside.split(".")[0] in GROUND or ("." not in inside and inside not in ALLOWED):
                continue
            allowed = any(inside == known or inside.startswith(known + ".") or known.startswith(inside + ".") for known in ALLOWED[folder])
            assert allowed, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("folder", sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in TORCH_FOLDERS))
def test_torch_stays_where_it_is_needed(folder: str) -> None:
    for path in files(folder):
        torch_imports = {name for name in imports(path) if name.split(".")[0] == "torch"}
        assert not torch_imports, f"{path.relative_to(PACKAGE)} imports {sorted(torch_imports)}"


def private_names(path: Path) -> set[str]:
    """Return the private names of torch that a file goes to, but for the ``_foreach`` functions, which are documented."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith(("torch.", "nn.")) and re.search(r"\._(?!_|foreach)\w+$", name):
                found.add(name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if re.search(r"\._(?!_)", name)}
    return found


def test_private_names_of_torch_stand_in_one_folder_and_each_in_one_file_of_it() -> None:
    found = {path.relative_to(PACKAGE): names for path in sorted(PACKAGE.rglob("*.py")) if (names := private_names(path))}
    inside = {path: names for path, names in found.items() if path.parts[0] == "torch_private"}
    assert inside
    assert found == inside
    # what leads to a name (``torch._C`` to ``torch._C._nn``) is none of its own
    whole = [name for names in inside.values() for name in names if not any(other.startswith(f"{name}.") for other in names)]
    assert not [name for name, times in Counter(whole).items() if times > 1]


def test_no_memory_of_the_script_is_shown_to_numpy_by_torch() -> None:
    """``numpy()`` marks it as not resizable for good (see ``measure/host_memory.py``); so does what else shares it."""
    shared = {"numpy", "__array__", "from_dlpack", "to_dlpack", "__dlpack__"}
    calls = {
        path.relative_to(PACKAGE).as_posix()
        for folder in TORCH_FOLDERS
        for path in files(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in shared
    }
    assert calls == {"measure/host_memory.py", "measure/transfer.py"}
