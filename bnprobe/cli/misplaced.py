"""Options of ``bnprobe record`` that stand behind the script, which is given them in our place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

#: Those that a script or a library that reads its arguments may well have: they are told only where the script ended without a step. So
#: are those of one letter.
SHARED = frozenset(
    "--output --force --keep --resume --quiet --every --max-steps --strict --budget --ranks --follow --track --figures".split()
)


def misplaced(arguments: Sequence[str], script: str) -> tuple[list[str], list[str]]:
    """Find our options among the arguments of a script, up to a bare ``--``.

    Args:
        arguments: of the script.
        script: its file; or the name of a module, whose text is not looked at.

    Returns:
        Those that only we have and that the script's own text does not name; and the others.
    """
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    given = dict.fromkeys(one.partition("=")[0] for one in before if one.startswith("-"))
    found = [name for name in given if name in _ours()] if given else []
    text = _text_of(script) if found else ""
    sure = [name for name in found if name.startswith("--") and name not in SHARED and not _names(text, name)]
    return sure, [name for name in found if name not in sure]


def told(names: Sequence[str]) -> str:
    """Return where they would have to stand, as a sentence.

    >>> told(["--curvature", "--audit"])
    "--curvature, --audit stand behind the script, and went to it: bnprobe's own options stand before it"
    """
    verb = "stands" if len(names) == 1 else "stand"
    return f"{', '.join(names)} {verb} behind the script, and went to it: bnprobe's own options stand before it"


def _ours() -> set[str]:
    from typer.main import get_group

    from bnprobe.cli.app import app

    return {name for parameter in get_group(app).commands["record"].params for name in parameter.opts}


def _text_of(script: str) -> str:
    try:
        return Path(script).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _names(text: str, option: str) -> bool:
    return re.search(rf"\b{re.sub('-', '[-_]', option.lstrip('-'))}\b", text) is not None
