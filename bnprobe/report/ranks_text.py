"""What several ranks show beside each other, in words: for the terminal and for the tables of the page."""

from __future__ import annotations

from bnprobe.diagnose.ranks import Between, between, standing
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.report.wording import number, plural


def ranks_of(run: RunAnalysis) -> list[str]:
    """Say what there is to say of the ranks of a run; nothing of a process by itself."""
    found = between(run)
    alone = standing(run.recorded)
    return lines(found) if found is not None else [f"{alone}."] if alone else []


def lines(found: Between) -> list[str]:
    """Say it in sentences, the gravest first: how many were merged, what is to be said, where they differ most."""
    told = [f"{found.standing}."]
    for remark in found.remarks:
        told.append(f"{remark.severity}: {remark.text}" if remark.severity != "info" else remark.text)
        if remark.fix:
            told.append(f"To do: {remark.fix}.")
    if found.spreads:
        one = found.spreads[0]
        told.append(f"Activations differ most between ranks at {one.layer}: rms by {number(100 * one.relative)} % (median over steps).")
    return told


def rank_rows(found: Between) -> list[list[str]]:
    """Return a row a rank: its number, steps, how it ended, its loss, where it deviated first, where it was first not finite."""
    return [
        [
            str(line.number),
            plural(line.steps, "step"),
            line.status if line.status != "running" else "not closed",
            f"{number(line.loss[0])} → {number(line.loss[1])}",
            line.deviated or "–",
            str(line.nonfinite) if line.nonfinite is not None else "–",
        ]
        for line in found.lines
    ] + [[str(rank), "–", "no file", "–", "–", "–"] for rank in found.missing[:12]]


def spread_rows(found: Between) -> list[list[str]]:
    """Return a row a layer: its name, the usual spread in per cent, and the largest with its step."""
    return [
        [one.layer, f"{number(100 * one.relative)} %", f"{number(100 * one.largest[0])} % at step {one.largest[1]:,}"]
        for one in found.spreads
    ]
