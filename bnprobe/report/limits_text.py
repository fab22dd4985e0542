"""Learning-rate limits as text for a terminal."""

from __future__ import annotations

import math

from bnprobe.analyse.limits import Interval, Search, gains, hull, searches
from bnprobe.store.limits_file import NO_REMEDY, Limits, Trial


def rate(value: float) -> str:
    """A learning rate in three digits.

    >>> rate(0.0299), rate(1.495), rate(3.2e-7)
    ('0.0299', '1.5', '3.2e-07')
    """
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(7.0), duration(100.0), duration(5400.0)
    ('7 s', '2 min', '1.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def trial_line(trial: Trial) -> str:
    """One trial in one line."""
    where = f"{trial.remedy}, seed {trial.seed}, {rate(trial.factor)} times the script's rate"
    at = f" (rate {rate(trial.peak_rate)})" if math.isfinite(trial.peak_rate) else ""
    return f"{where}{at}: {trial.outcome}, {trial.reason} [{duration(trial.seconds)}]"


def interval_text(interval: Interval | None, what: str = "rate") -> str:
    """An interval in words."""
    if interval is None:
        return "no outcome"
    if interval.is_closed:
        return f"{rate(interval.trains_at)} to {rate(interval.fails_at)}"
    if math.isfinite(interval.fails_at):
        return f"below {rate(interval.fails_at)}"
    return f"above {rate(interval.trains_at)}" if interval.trains_at > 0 else "unknown"


def table(limits: Limits) -> str:
    """Lay the limits of every remedy out: by seed, over all seeds, and what each remedy buys."""
    found = searches(limits.trials)
    own = limits.own_rate
    rows: list[tuple[str, ...]] = [("remedy", "seed", "trains at", "fails at", "how", "trials")]
    for one in found:
        rows.append((one.remedy, str(one.seed), *_ends(one, own), one.fails_by or "-", str(one.trials)))
    lines = _aligned(rows)
    lines.append("")
    for remedy in dict.fromkeys(one.remedy for one in found):
        mine = [one for one in found if one.remedy == remedy]
        over_all = hull([one.interval for one in mine if one.interval is not None])
        seeds = f"{len(mine)} seed{'s' if len(mine) > 1 else ''}"
        text = f"{remedy}: limit {interval_text(over_all.scaled(own) if over_all else None)} over {seeds}"
        if remedy != NO_REMEDY and (factor := gains(found, remedy)) is not None:
            text += f", {interval_text(factor)} times that of NONE"
        lines.append(text)
    return "\n".join(lines)


def _ends(search: Search, own: float) -> tuple[str, str]:
    if search.interval is None:
        return "-", "-"
    real = search.interval.scaled(own)
    return rate(real.trains_at) if real.trains_at else "-", rate(real.fails_at) if math.isfinite(real.fails_at) else "-"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
