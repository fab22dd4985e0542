"""How a run was made, in the words that its file keeps."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from bnprobe.launch.commit import commit_of
from bnprobe.launch.target import Target


def collect_provenance(target: Target, command: Sequence[str]) -> dict[str, str]:
    """Say what is about to be run; the name of the machine is nobody's business.

    Args:
        target: What is run.
        command: The command line as it was typed, ``bnprobe record ...``.

    Returns:
        command, script, argv (a JSON list, as the script sees it), cwd, python, created (UTC, ISO 8601); commit, where the script lies in a
        git repository.
    """
    commit = commit_of(Path.cwd() if target.is_module else Path(target.name).absolute().parent)
    return {
        "command": shlex.join(command),
        "script": f"-m {target.name}" if target.is_module else target.name,
        "argv": json.dumps([target.name, *target.arguments], ensure_ascii=False),
        "cwd": os.getcwd(),
        "python": platform.python_version(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **({"commit": commit} if commit else {}),
    }
