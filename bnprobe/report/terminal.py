"""What a run file holds, as plain text for a terminal."""

from __future__ import annotations

import shlex
import textwrap
import unicodedata
from collections import Counter

import numpy as np

from bnprobe.analyse.layers import counted
from bnprobe.analyse.stability import divergence, loss_course
from bnprobe.analyse.successive import trainings
from bnprobe.analyse.tolerance import UNSETTLED, settled_limits
from bnprobe.analyse.views import RunView
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.report.ranks_text import ranks_of
from bnprobe.report.tolerance_story import line_of
from bnprobe.report.wording import ending, keeping, loss_ends, number, plural, size
from bnprobe.store.reader import Run

WIDTH = 100
INDENT = 12
#: Gaps and events that are listed one by one.
MOST_LISTED = 8


def summary(run: Run) -> str:
    """Say what a run file holds, how the run ended, what could not be seen, and what to type next.

    Plain text without a final line break; control characters in names from the file are left out.
    """
    lines = [
        ("file", _file(run)),
        ("script", _script(run)),
        ("ended", ending(run)),
        ("steps", _steps(run)),
        *[("ranks" if not number else "", line) for number, line in enumerate(ranks_of(RunAnalysis(run)))],
        ("kept", keeping(run)),
        *[("" if number else "loss", line) for number, line in enumerate(_losses(run))],
        ("curvature", _curvature(run)),
        ("layers", _layers(run)),
        ("parameters", _parameters(run)),
        ("line probes", _probes(run)),
        *_listed("not seen", [f"{gap.subject}: {gap.reason}{_times(gap.times)}" for gap in run.gaps] or ["nothing that is known of"]),
        *_listed("noticed", [f"step {event.step}, {event.kind}: {event.text}" for event in run.events]),
        *_listed("unreadable", run.problems),
    ]
    text = [_wrap(name, content) for name, content in lines if content]
    return "\n".join([*text, "", f"next: bnprobe report {_files(run)}"])


def _files(run: Run) -> str:
    return " ".join(shlex.quote(str(one.path)) for one in run.ranks or [run])


def _file(run: Run) -> str:
    if run.ranks:
        names = [one.path.name for one in run.ranks]
        return ", ".join([*names[:MOST_LISTED], *([f"and {len(names) - MOST_LISTED} more"] if len(names) > MOST_LISTED else [])])
    try:
        length = run.path.stat().st_size
    except OSError:  # removed since it was read
        return str(run.path)
    cells = run.steps * len(run.layers)
    share = f", {size(length / cells)} a step and layer" if cells else ""
    return f"{run.path} ({size(length)}{share})"


def _script(run: Run) -> str:
    with_torch = f"torch {run.attributes['torch_version']}" if "torch_version" in run.attributes else ""
    on = f"on {run.attributes['device']}" if "device" in run.attributes else ""
    created = str(run.attributes.get("created", ""))
    script = str(run.attributes.get("command") or run.attributes.get("script") or "not recorded")
    return ", ".join(part for part in (script, created, " ".join(part for part in (with_torch, on) if part)) if part)


def _steps(run: Run) -> str:
    view = RunView.of(run)
    if not run.steps:
        return "none: the script took no optimizer step, or ended before its first one was written"
    observed, snapshots = int(run.observed().sum()), len(view.snapshot)
    steps = view.step
    parts = [
        f"{plural(run.trained_steps, 'step')}, {steps[0]} to {steps[-1]}; layers measured at {observed if observed < run.steps else 'each'}"
    ]
    if snapshots:
        parts.append(f"{plural(snapshots, 'snapshot')} of {plural(len(run['channel']), 'channel')}")
    seconds, own = view.step_seconds, view.observer_seconds
    known = np.isfinite(seconds) & np.isfinite(own) & (seconds > 0)
    if known.any():
        share = float(own[known].sum() / seconds[known].sum())
        parts.append(f"{number(float(np.median(seconds[known])))} s a step, {share:.1%} of it the recorder's")
    return "; ".join(parts)


def _losses(run: Run) -> list[str]:
    """The loss of each training of a recording, a line each."""
    parts = trainings(run)
    if not run.steps or len(parts) == 1:
        return [_loss(parts[0])]
    return [f"steps {part['step'][0]:,} to {part['step'][-1]:,}, a training by themselves: {_loss(part)}" for part in parts]


def _loss(run: Run) -> str:
    view = RunView.of(run)
    course, missing = view.once(loss_course), int((~np.isfinite(run.every_loss[1])).sum())
    if not run.steps:
        return ""
    if course is None:
        return "no finite loss was seen"
    lost = view.once(divergence)
    broken = f"; missing or not finite at {plural(missing, 'step')}" if missing else ""
    if lost is not None:
        return f"{loss_ends(run)}; the training diverged at step {lost.step:,}{broken}"
    medians = f"medians of the first {course.early_steps} and the last {course.late_steps} that were finite"
    return f"{loss_ends(run)} ({medians}){broken}"


def _curvature(run: Run) -> str:
    view = RunView.of(run)
    probed, limit, own = view.curvature, settled_limits(run), view.curvature_preconditioned
    # One unit a line: the optimizer's metric where it is known at all.
    sharpness = own if np.isfinite(own).any() else view.curvature_sharpness
    if not len(probed):
        return ""
    known = sharpness[np.isfinite(sharpness)]
    if not known.size:
        return f"{plural(len(probed), 'probe')}, none gave a number: {run['curvature_reason'][-1]}"
    parts = [f"{plural(len(probed), 'probe')}, steps {probed[0]} to {probed[-1]}"]
    found = int((np.isfinite(view.curvature_sharpness) | np.isfinite(own)).sum())
    if found < len(probed):
        parts[0] += f", {found} of them with a number"
    parts.append(f"sharpness {number(known[0])} → {number(known[-1])}")
    allowed = limit[np.isfinite(limit)]
    if allowed.size:
        rate = view.curvature_learning_rate[np.isfinite(limit)][-1]
        parts.append(f"it allows a learning rate of {number(float(allowed[-1]))} at last, {number(float(rate))} was used")
    elif np.isfinite(view.curvature_limit).any():
        parts.append(f"it allows no statement about the rate: {UNSETTLED}")
    return "; ".join(parts)


def _layers(run: Run) -> str:
    if not run.layers:
        return "none were seen"
    kinds = ", ".join(f"{count} {kind or 'unnamed'}" for kind, count in Counter(layer.kind for layer in counted(run)).most_common())
    models = len({layer.model for layer in run.layers})
    return f"{len(counted(run))}: {kinds}" + (f"; {models} models" if models > 1 else "")


def _parameters(run: Run) -> str:
    if not run.parameters:
        return "none were seen"
    elements = sum(max(parameter.size, 0) for parameter in run.parameters)
    groups = ", ".join(dict.fromkeys(run.groups[:MOST_LISTED]))
    return f"{len(run.parameters)} with {elements:,} elements" + (f"; {groups}" if groups else "")


def _probes(run: Run) -> str:
    """Count the probed steps, and say what the worst of them tolerated."""
    view = RunView.of(run)
    taken = np.flatnonzero(view.probe_variant == "taken")
    if not taken.size:
        return ""
    text = f"at {plural(len(set(run['probe_step'][taken].tolist())), 'step')}"
    unknown = int((view.probe_reason[taken] != "").sum())
    text += f", {unknown} without a number" if unknown else ""
    worst = line_of(run)
    return f"{text}; {worst[:1].lower()}{worst[1:]}" if worst else text


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _listed(name: str, items: list[str]) -> list[tuple[str, str]]:
    """One line an item, the name before the first."""
    shown = items[:MOST_LISTED]
    if len(items) > MOST_LISTED:
        shown.append(f"and {len(items) - MOST_LISTED} more")
    return [(name if i == 0 else "", item) for i, item in enumerate(shown)]


def _wrap(name: str, content: str) -> str:
    plain = "".join(character for character in content if unicodedata.category(character)[0] != "C")
    return textwrap.fill(
        plain, WIDTH, initial_indent=name.ljust(INDENT), subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False
    )
