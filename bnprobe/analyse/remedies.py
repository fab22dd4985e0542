"""The remedies of a run, as the recorder wrote them: what was applied, and what each acted on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bnprobe.remedies.specification import name_of
from bnprobe.store.reader import Run

#: Names of one remedy that are written out.
MOST_NAMED = 12


@dataclass(frozen=True)
class AppliedRemedy:
    """One remedy.

    Attributes:
        specification: its name with its settings, as given.
        touched: what it acted on, in words.
    """

    specification: str
    touched: str

    @property
    def name(self) -> str:
        """Its name."""
        return name_of(self.specification)


def remedies_of(run: Run) -> list[AppliedRemedy]:
    """Return the remedies in the order in which they acted; what a damaged or foreign file holds instead is left out."""
    try:
        entries = json.loads(str(run.attributes.get("remedies", "[]")))
    except (ValueError, RecursionError):
        return []
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [AppliedRemedy(entry["specification"], _touched(entry)) for entry in found if isinstance(entry.get("specification"), str)]


def remedies_that_fit(run: Run) -> frozenset[str]:
    """Return the remedies that could have acted on this training, as each said itself when it was recorded; none where none was asked."""
    try:
        against = json.loads(str(run.attributes.get("remedy_fits", "{}")))
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(name for name, reason in against.items() if reason == "") if isinstance(against, dict) else frozenset()


def _touched(entry: dict[str, Any]) -> str:
    names, count, what = entry.get("touched"), entry.get("count"), entry.get("what")
    shown = [name for name in names if isinstance(name, str)][:MOST_NAMED] if isinstance(names, list) else []
    whole = f"{count if isinstance(count, int) else len(shown)} {what if isinstance(what, str) else 'parts of the model'}"
    if not shown:
        return whole
    more = f" and {count - len(shown)} more" if isinstance(count, int) and count > len(shown) else ""
    return f"{whole}: {', '.join(shown)}{more}"
