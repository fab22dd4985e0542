"""Print what the house looks like, of one checkout or of several beside each other.

    python -m tests.benchmarks.structure [CHECKOUT ...]

A checkout is a folder with ``bnprobe/`` in it, such as ``git archive COMMIT | tar -x -C FOLDER`` makes; without one it is this one. Printed
are the longest files of the package; parts of ``observe/`` (its folders, and files beside them), arrows (which part imports which) and
floors (the longest way along them), and circles; what the rules of ``diagnose/`` consist of; private names of torch by file; and words of
a dialect that no one else speaks.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.test_house import private_names

HERE = Path(__file__).resolve().parents[2]
LONGEST = 8
#: What the code and its pages once said, and a native engineer would not: a pattern for each.
DIALECT = (
    *(r"unwatched", r"carried gradients?", r"Surgery", r"Census", r"class Case\b", r"\beased", r"does_poorly", r"\b[Bb]irth\b", r"\bnotch"),
    *(r"left its course", r"loss was lost", r"level of guessing", r"set aside", r"\bsound (?:run|training|program|network|transformer)"),
    *(r"a script stands", r"[Ss]quashed twice"),
)
_TEXTS = (".py", ".md", ".html")


def parts(checkout: Path) -> dict[str, set[str]]:
    """Return the parts of ``observe/``, each with those that it imports."""
    folder = checkout / "bnprobe" / "observe"
    modules = {".".join(path.relative_to(checkout).with_suffix("").parts).removesuffix(".__init__"): path for path in folder.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        part = _part(name)
        for imported in _imports(path) & modules.keys():
            other = _part(imported)
            if part and other and part != other:
                found.setdefault(part, set()).add(other)
                found.setdefault(other, set())
    return found


def _part(module: str) -> str:
    return (*module.split("."), "", "")[2]


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def floors(parts: Mapping[str, set[str]]) -> int | None:
    """Return how many parts lie on the longest way from one to another; None where a way leads back."""
    above: list[str] = []

    @cache
    def height(part: str) -> int:
        if part in above:
            raise RecursionError
        above.append(part)
        most = 1 + max(map(height, parts[part]), default=0)
        above.pop()
        return most

    try:
        return max(map(height, parts), default=0)
    except RecursionError:
        return None


def lengths(checkout: Path) -> dict[str, int]:
    """Return the lines of every file of the package."""
    package = checkout / "bnprobe"
    return {str(path.relative_to(package)): len(path.read_text(encoding="utf-8").splitlines()) for path in package.rglob("*.py")}


def rules(checkout: Path) -> tuple[int, int, int, int]:
    """Return files, lines, constants (assignments of ``thresholds.py``) and conditions (comparisons, and, or) of ``diagnose/``."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((checkout / "bnprobe" / "diagnose").rglob("*.py"))}
    nodes = [(path.name, node) for path, source in sources.items() for node in ast.walk(ast.parse(source))]
    constants = sum(name == "thresholds.py" and isinstance(node, ast.Assign | ast.AnnAssign) for name, node in nodes)
    conditions = sum(isinstance(node, ast.Compare | ast.BoolOp) for _, node in nodes)
    return len(sources), sum(len(source.splitlines()) for source in sources.values()), constants, conditions


def dialect(checkout: Path) -> dict[str, int]:
    """Return how often each word stands in the package and the docs."""
    paths = [path for name in ("bnprobe", "docs") for path in (checkout / name).rglob("*") if path.suffix in _TEXTS]
    paths = [*(path for path in paths if "gallery" not in path.parts), checkout / "README.md"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return {word: len(re.findall(word, text)) for word in DIALECT}


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE])
    for checkout in parser.parse_args().checkouts:
        print(f"\n{checkout}")
        lines = lengths(checkout)
        print(f"  {len(lines)} files, {sum(lines.values())} lines; the longest:")
        for name, count in sorted(lines.items(), key=lambda pair: -pair[1])[:LONGEST]:
            print(f"    {count:5d} {name}")
        found = parts(checkout)
        height = floors(found)
        print(f"  observe/: {len(found)} parts, {sum(map(len, found.values()))} arrows, {height or 'a circle, no'} floors")
        files, length, constants, conditions = rules(checkout)
        print(f"  diagnose/: {files} files, {length} lines, {constants} constants, {conditions} conditions")
        private = {str(path.relative_to(checkout)): len(private_names(path)) for path in sorted((checkout / "bnprobe").rglob("*.py"))}
        private = {name: count for name, count in private.items() if count}
        print(f"  private names of torch: {sum(private.values())} in {len(private)} files")
        for name, count in private.items():
            print(f"    {count:5d} {name}")
        words = {word: count for word, count in dialect(checkout).items() if count}
        print(f"  words of a dialect: {sum(words.values())}  {words or ''}")


if __name__ == "__main__":
    main()
