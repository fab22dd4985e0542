"""What ``bnprobe record`` says at its end: what the run file shows, and the next command."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnprobe.launch.children import Plan

#: Files and trainings that the last lines name one by one.
_MOST_NAMED = 8


def closing_lines(file: Path, plan: Plan | None = None, hint: str = "") -> list[str]:
    """Say what a finished run file shows, and the next command.

    Args:
        file: A run file that is no longer written to; there may be none where other processes of the script trained.
        plan: What those were told.
        hint: What may be why no step was seen.

    Returns:
        Lines for the terminal, without our name in front.
    """
    from bnprobe.analyse.layers import counted
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.diagnose import diagnose
    from bnprobe.diagnose.verdict import verdict_line
    from bnprobe.processes import IN_CHILDREN
    from bnprobe.report.what_if_text import lines
    from bnprobe.store.reader import read_run

    if plan is not None and (found := plan.files):
        return _closing_lines_of_several([*([file] if file.exists() and read_run(file).steps else []), *found])
    run = read_run(file)
    if run.steps == 0:
        elsewhere = [f"{gap.reason}" for gap in run.gaps if gap.subject == IN_CHILDREN]
        seen = f"no optimizer step was seen; {_shown(file)} holds no training (bnprobe inspect says what was seen)"
        return [seen, *elsewhere, *([f"hint: {hint}"] if hint else [])]
    answers, diagnosis = what_if_of(run), diagnose(run)
    is_one_of_many = file.stem.endswith(".rank0") and str(run.attributes.get("world_size", "1")) != "1"
    followed = f"{_shown(file.with_name(file.stem.removesuffix('.rank0')))}.rank*.h5" if is_one_of_many else _shown(file)
    return [
        f"recorded {run.trained_steps} steps of {len(counted(run))} layers to {_shown(file)}",
        f"verdict{' of rank 0' if is_one_of_many else ''}: {verdict_line(diagnosis)}",
        *(f"what if: {line}" for line in (lines(answers, diagnosis.outcome.word) if answers is not None else ())),
        f"next: bnprobe report {followed}",
    ]


def _closing_lines_of_several(files: list[Path]) -> list[str]:
    """Say what the processes of a script have trained, each training in two lines."""
    from bnprobe.analyse.layers import counted
    from bnprobe.diagnose import diagnose
    from bnprobe.diagnose.ranks import standing
    from bnprobe.diagnose.verdict import verdict_line
    from bnprobe.ranks import read_trainings

    found = []
    for run in read_trainings(files)[:_MOST_NAMED]:
        where = ", ".join(_shown(one.path) for one in (run.ranks or [run])[:_MOST_NAMED])
        several = f" ({told})" if (told := standing(run)) else ""
        found.append(f"recorded {run.trained_steps} steps of {len(counted(run))} layers to {where}{several}")
        found.append(f"verdict: {verdict_line(diagnose(run))}")
    if len(files) <= _MOST_NAMED:
        return [*found, f"next: bnprobe report {' '.join(map(_shown, files))}"]
    return [*found, f"{len(files)} files in all", f"next: bnprobe report {_shown(files[0].parent)}/*.h5"]


def _shown(file: Path) -> str:
    """A path as it can be typed after the run: short below the current folder, quoted where the shell needs it."""
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # the current folder is gone, or on another drive
        relative = ".."
    return shlex.quote(str(file) if relative.startswith("..") else relative)
