"""The commit that a script was recorded at, read from the files of its repository: no program is started for it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out where a folder lies; "" outside of a repository, and where it cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        place = next((parent / ".git" for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
        if place is None:
            return ""
        if place.is_file():  # a worktree or a submodule names its own
            place = (place.parent / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        found = _branch(place, head.removeprefix("ref:").strip()) if head.startswith("ref:") else head
        return found if re.fullmatch(r"[0-9a-f]{40,64}", found) else ""
    return ""


def _branch(place: Path, name: str) -> str:
    """The commit of a branch: a file of its own, or a line among the packed ones, which worktrees share."""
    shared = place / "commondir"
    common = (place / shared.read_text(encoding="utf-8").strip()).resolve() if shared.exists() else place
    for folder in (place, common):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8").strip()
    packed = (common / "packed-refs").read_text(encoding="utf-8")
    return next((line.split()[0] for line in packed.splitlines() if line.endswith(f" {name}")), "")
