"""What compared techniques show, in words and cells: for the page, the terminal and JSON alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bnprobe.analyse.comparison import BELOW, FIRST_RATES, Row, Spread, loss_of, rows_of, terms_of
from bnprobe.numerals import number
from bnprobe.report.limits_story import interval_text
from bnprobe.report.wording import plural, remedy_name
from bnprobe.store.comparison_file import NO_TECHNIQUE, WHOLE, Comparison, Trial

HEADINGS = ("technique", "best rate", "limit", "trained", "training loss", "held-out loss", "held-out accuracy", "time", "memory")
NOTHING = "–"
#: Two training losses differ when their means are further apart than both standard deviations together.
_APART = 1.0


def spread_text(spread: Spread, scale: float = 1.0, digits: int = 3) -> str:
    """A mean with its standard deviation over seeds.

    >>> spread_text(Spread((1.0, 2.0, 3.0))), spread_text(Spread((0.5,))), spread_text(Spread(()))
    ('2 ± 1', '0.5', '–')
    """
    if not spread.values:
        return NOTHING
    mean = number(spread.mean * scale, digits)
    return mean if math.isnan(spread.deviation) else f"{mean} ± {number(spread.deviation * scale, 2)}"


def percent_text(spread: Spread) -> str:
    """The same of a share, in per cent.

    >>> percent_text(Spread((0.97, 0.98)))
    '97.5 ± 0.71 %'
    """
    return f"{spread_text(spread, 100.0)} %" if spread.values else NOTHING


def ratio_text(spread: Spread) -> str:
    """A ratio with its range over seeds.

    >>> ratio_text(Spread((1.2, 1.25, 1.3)))
    '1.25 x (1.2 to 1.3)'
    """
    if not spread.values:
        return NOTHING
    low, high = number(min(spread.values), 3), number(max(spread.values), 3)
    return f"{number(spread.mean, 3)} x" + (f" ({low} to {high})" if low != high else "")


def memory_text(spread: Spread) -> str:
    """Bytes as mebibytes."""
    return f"{spread.mean / 2**20:.0f} MiB" if spread.values else NOTHING


def cells(row: Row, comparison: Comparison) -> tuple[str, ...]:
    """A technique in the columns of ``headings``; of one that was refused its name alone."""
    own = comparison.own_rate
    if row.refusal:
        return (remedy_name(row.technique), *[NOTHING] * (len(headings(comparison)) - 1))
    seeds = terms_of(comparison.attributes).seeds
    return (
        remedy_name(row.technique),
        number(row.factor * own) if math.isfinite(row.factor) else NOTHING,
        interval_text(row.limit.scaled(own)) if row.limit is not None else NOTHING,
        f"{row.trained} of {seeds}",
        spread_text(row.loss),
        spread_text(row.held_out_loss),
        percent_text(row.held_out_accuracy),
        *([spread_text(row.metric)] if comparison.attributes.get("metric") else []),
        "1 x" if row.technique == NO_TECHNIQUE and row.step_ratio.values else ratio_text(row.step_ratio),
        memory_text(row.peak_bytes),
    )


def headings(comparison: Comparison) -> tuple[str, ...]:
    """The columns of the table; one more where --metric was given."""
    return (*HEADINGS[:7], "metric", *HEADINGS[7:]) if comparison.attributes.get("metric") else HEADINGS


def why_not(row: Row) -> str:
    """Why a technique has no numbers; "" where it has some, or has not been tried."""
    if row.refusal:
        return f"not possible here: {row.refusal}"
    if row.rates and not row.whole and all(not math.isfinite(loss_of(one)) for one in row.rates):
        errors = [one.reason for one in row.rates if one.outcome == "failed"]
        how = "diverges" if not errors else "ends with an error" if len(errors) == len(row.rates) else "diverges or ends with an error"
        return f"{how} at each of the {plural(len(row.rates), 'rate')} that were tried" + (f": {errors[0]}" if errors else "")
    return ""


def headline(comparison: Comparison) -> str:
    """What the table shows, in a sentence of its two ends; it says no more than the spread over seeds allows."""
    rows = rows_of(comparison)
    known = [row for row in rows if row.loss.values]
    if not known:
        return "No technique has trained to the end yet"
    by_accuracy = [row for row in known if row.held_out_accuracy.values]
    by_loss = [row for row in known if row.held_out_loss.values]
    if by_accuracy:
        return _best(by_accuracy, [-row.held_out_accuracy.mean for row in by_accuracy], "held-out accuracy", "held_out_accuracy")
    if by_loss:
        return _best(by_loss, [row.held_out_loss.mean for row in by_loss], "held-out loss", "held_out_loss")
    return _best(known, [row.loss.mean for row in known], "training loss", "loss")


def _best(rows: Sequence[Row], order: Sequence[float], what: str, name: str) -> str:
    ranked = [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]
    first = getattr(ranked[0], name)
    width = first.deviation
    alike = [row for row in ranked[1:] if abs(getattr(row, name).mean - first.mean) <= _noise(width, getattr(row, name).deviation)]
    text = percent_text(first) if name == "held_out_accuracy" else spread_text(first)
    best = f"Best {what}: {remedy_name(ranked[0].technique)}, {text}"
    if math.isnan(width):
        return f"{best}; with one seed nobody can tell how much of that is chance"
    if not alike:
        return best
    return f"{best}; within the spread over seeds: {', '.join(remedy_name(row.technique) for row in alike)}"


def _noise(one: float, other: float) -> float:
    return _APART * (one + (0.0 if math.isnan(other) else other))


def caveats(comparison: Comparison) -> list[str]:
    """What the reader has to know to believe no more than was found."""
    return [sentence for ask in (_extent, _choice, _evaluation, _seeds, _costs, _regularised, _status) for sentence in ask(comparison)]


def _extent(comparison: Comparison) -> list[str]:
    terms = terms_of(comparison.attributes)
    length = "as long as the script trains" if terms.length == WHOLE else f"of {terms.length} steps"
    return [
        f"Trainings {length}, {plural(terms.seeds, 'seed')}. Training loss is the median of the last quarter of the steps. "
        "What follows ± is the standard deviation over seeds."
    ]


def _choice(comparison: Comparison) -> list[str]:
    terms = terms_of(comparison.attributes)
    return [
        f"Each technique is trained at its own best rate: of {FIRST_RATES} to {len(BELOW)} rates from its limit down, and that of the best "
        "short trial, and lower ones as long as the lowest is the best, the one of the lowest training loss at seed 0. Nothing held out "
        "decides. The limit is that of trials of "
        f"{terms.search_length} steps. All rates of a script are multiplied by one factor."
    ]


def _evaluation(comparison: Comparison) -> list[str]:
    whole = [one for row in rows_of(comparison) for one in row.whole]
    told = dict.fromkeys(one.held_out_source for one in whole if one.held_out_source)
    sentences = [f"Held-out numbers: {one}." for one in told]
    if whole and not any(one.held_out_samples for one in whole):
        sentences += [] if told else ["There is no held-out number."]
        sentences.append("Training losses alone say nothing about other data.")
    steps = {(one.steps - one.held_out_step) for one in whole if one.held_out_samples}
    if any(steps):
        sentences.append(f"The last evaluation was made up to {plural(max(steps), 'step')} before the end.")
    samples = sorted({one.held_out_samples for one in whole if one.held_out_samples})
    if samples:
        sentences.append(f"It covers {plural(samples[0], 'label')}" + (f" to {samples[-1]}" if len(samples) > 1 else "") + ".")
    return sentences


def _seeds(comparison: Comparison) -> list[str]:
    whole = [one for row in rows_of(comparison) for one in row.whole]
    later = [one for one in whole if one.seed]
    if not later:
        return []
    told = next((one.seeding for one in later if one.seeding), "")
    by_row = [[one.final_loss for one in row.whole if math.isfinite(one.final_loss)] for row in rows_of(comparison)]
    if all(len(set(losses)) == 1 for losses in by_row if len(losses) > 1) and any(len(losses) > 1 for losses in by_row):
        return ["The seeds made no difference: the script draws nothing from the global random generators. They count as one."]
    if not told:
        return ["Seeds after the first: the script seeds nothing; the global random generators were given other starts."]
    return [f"Seed 0 is the script as it is. For the others its calls that seed got other numbers, at seed 1: {told}."]


def _costs(comparison: Comparison) -> list[str]:
    executor = str(comparison.attributes.get("executor", "local"))
    elsewhere = f"Trainings may have run on several machines ({executor}): where those differ in speed, so does the time of a step."
    return [
        "Time is processor time of a step, over that with no remedy at the same seed: mean and range over seeds. Memory is the largest "
        "resident size of the process beyond that with torch imported, or what torch allocated on an accelerator.",
        *([elsewhere] if executor != "local" else []),
    ]


def _regularised(comparison: Comparison) -> list[str]:
    noisy = [row.technique for row in rows_of(comparison) if "dropout" in row.technique or "noise" in row.technique]
    return [f"The training loss of {' and '.join(noisy)} is that of the disturbed network." for _ in noisy[:1]]


def _status(comparison: Comparison) -> list[str]:
    if comparison.attributes.get("status") == "finished":
        return []
    return ["The comparison was not finished: the same command goes on with it."]


# -- JSON -------------------------------------------------------------------------------------------------------------


def document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison ready for JSON; what is not known is null."""
    terms = terms_of(comparison.attributes)
    return {
        "script": str(comparison.attributes.get("script", "")),
        "status": str(comparison.attributes.get("status", "")),
        "steps": None if terms.length == WHOLE else terms.length,
        "search_steps": terms.search_length,
        "seeds": terms.seeds,
        "own_rate": _plain(comparison.own_rate),
        "techniques": [_row_document(row, comparison) for row in rows_of(comparison)],
        "trials": [_trial_document(one, comparison.own_rate) for one in comparison.trials],
        "caveats": caveats(comparison),
    }


def _row_document(row: Row, comparison: Comparison) -> dict[str, Any]:
    own = comparison.own_rate
    limit = row.limit.scaled(own) if row.limit is not None else None
    spreads = ("loss", "held_out_loss", "held_out_accuracy", "metric", "step_seconds", "step_ratio", "peak_bytes")
    return {
        "technique": row.technique,
        "why_not": why_not(row) or None,
        "acts": row.acts,
        "best_rate": _plain(row.factor * own),
        "limit": None if limit is None else [_plain(limit.trains_at), _plain(limit.fails_at)],
        "trained": row.trained,
        **{name: _spread_document(getattr(row, name)) for name in spreads},
    }


def _spread_document(spread: Spread) -> dict[str, Any]:
    return {"mean": _plain(spread.mean), "deviation": _plain(spread.deviation), "values": list(spread.values)}


def _trial_document(trial: Trial, own: float) -> dict[str, Any]:
    names = ["seed", "outcome", "reason", "steps", "final_loss", "held_out_loss", "held_out_accuracy", "held_out_step", "held_out_samples"]
    names += ["held_out_source", "metric", "step_seconds", "peak_bytes", "seconds"]
    length = None if trial.length == WHOLE else trial.length
    told = {name: _plain(getattr(trial, name)) for name in names}
    return {"technique": trial.remedy, "rate": _plain(trial.factor * own), "length": length, **told}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
