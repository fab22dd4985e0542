"""Who may know whom: the folders of the package and the imports between them (see docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bnprobe

PACKAGE = Path(bnprobe.__file__).parent

#: What each folder may import of the package. The command line knows all.
ALLOWED = {
    "launch": {"launch", "observe.options", "observe.recorder", "observe.trial"},
    "observe": {"observe", "measure", "store.writer", "store.schema", "remedies"},
    "measure": {"measure"},
    "store": {"store"},
    "analyse": {"analyse", "store.reader", "store.schema", "store.limits_file", "remedies.specification"},
    "diagnose": {"diagnose", "analyse", "store.reader", "store.schema"},
    "remedies": {"remedies", "measure"},
    "report": {"report", "diagnose", "analyse", "store.reader", "store.schema", "store.limits_file"},
    "lrlimit": {"lrlimit", "diagnose", "analyse", "store.reader", "store.schema", "store.limits_file", "remedies.specification"},
}
#: Files that every folder may import.
GROUND = {"errors", "divergence", "identity", "numerals", "torch_private", "__version__"}
TORCH_FOLDERS = {"observe", "measure", "remedies"}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in the file, except for type checking alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
