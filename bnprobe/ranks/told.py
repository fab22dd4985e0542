"""What ranks tell in words: events, gaps, how they were made and how they ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from bnprobe.store.reader import Event, Gap, Run

#: How a run ended, the gravest first: what one rank died of ends all.
_ENDINGS = ("running", "crashed", "exited", "interrupted", "stopped", "finished")


def name_of(run: Run) -> str:
    """Name a rank in a sentence."""
    return f"rank {run.attributes.get('rank', '?')}"


def events_of(runs: Sequence[Run]) -> list[Event]:
    """Events of all ranks in order; what all noted alike is told once."""
    count = Counter((event.step, event.kind, event.text) for run in runs for event in dict.fromkeys(run.events))
    found = dict[Event, None]()
    for run in runs:
        for event in run.events:
            is_shared = count[event] == len(runs)
            found[event if is_shared else event._replace(text=f"{name_of(run)}: {event.text}")] = None
    return sorted(found, key=lambda event: event.step)


def gaps_of(runs: Sequence[Run]) -> list[Gap]:
    """What could not be observed on any rank; what all of them say is told once."""
    count = Counter((gap.subject, gap.reason) for run in runs for gap in run.gaps)
    found: dict[tuple[str, str], int] = {}
    for run in runs:
        for gap in run.gaps:
            is_shared = count[gap.subject, gap.reason] == len(runs)
            key = (gap.subject, gap.reason if is_shared else f"{name_of(run)}: {gap.reason}")
            found[key] = max(found.get(key, 0), gap.times)
    aside = [name for name in ("curvature", "audit", "figure", "probe") if len(runs[0][name])]
    if aside:
        what = {"curvature": "curvature", "audit": "audits", "figure": "figures of papers", "probe": "line probes"}
        found[", ".join(what[name] for name in aside), f"those of {name_of(runs[0])}: each rank looks at its own batch"] = 1
    return [Gap(subject, reason, times) for (subject, reason), times in found.items()]


def attributes_of(runs: Sequence[Run]) -> dict[str, str | int | float]:
    """The first rank's attributes, with the gravest ending of all and the earliest value that is not finite."""
    first = dict(runs[0].attributes)
    worst = min(runs, key=lambda run: _ENDINGS.index(run.status) if run.status in _ENDINGS else 0)
    first |= {name: worst.attributes[name] for name in ("status", "ending", "exit_status", "pid") if name in worst.attributes}
    if first.get("ending"):
        first["ending"] = f"{name_of(worst)}: {first['ending']}"
    first["rank"] = ", ".join(str(run.attributes.get("rank", "?")) for run in runs)
    first.pop("local_nonfinite", None)
    origins = [str(run.attributes["nonfinite_origin"]) for run in runs if "nonfinite_origin" in run.attributes]
    if origins:
        first["nonfinite_origin"] = min(origins, key=_how_late)
    return first


def _how_late(origin: str) -> tuple[float, bool]:
    """Order records of where a value arose that is not finite: by step, and what an all-reduce has spread last."""
    try:
        told = json.loads(origin)
        return float(told["step"]), told["kind"] == "gradient"
    except (ValueError, KeyError, TypeError):
        return float("inf"), True
