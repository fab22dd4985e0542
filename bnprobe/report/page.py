"""One self-contained page about one run or several: it works offline and sends nothing anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from bnprobe.analyse.remedies import remedies_of
from bnprobe.errors import UsageError
from bnprobe.ranks import read_trainings, trainings
from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.audit_text import alike, by_verdict, layer_value, limit_of, value_of
from bnprobe.report.colours import RUNS
from bnprobe.report.confirm_text import rows_of
from bnprobe.report.differences import overall, what_differs
from bnprobe.report.document import minus, render_document, write_document
from bnprobe.report.figures.what_if import left_out
from bnprobe.report.layer_details import layer_details
from bnprobe.report.layer_keys import layer_numbers
from bnprobe.report.layer_table import layer_lines
from bnprobe.report.limits_section import limits_sections
from bnprobe.report.panels import panels_of
from bnprobe.report.ranks_text import rank_rows, spread_rows
from bnprobe.report.tolerance_story import story
from bnprobe.report.verdict import comparison, evidence_lines, title, verdict
from bnprobe.report.what_if_text import lines as what_if_lines
from bnprobe.report.wording import elide, is_going_on, plural
from bnprobe.store.limits_file import Limits, holds_limits, read_limits
from bnprobe.store.reader import Run, read_run

#: Layers of the table that are shown at once; the others unfold.
FIRST_LINES = 15
#: Events shown at once.
FIRST_EVENTS = 12


def write_page(paths: list[Path], output: Path) -> list[Run]:
    """Write a page about run files, side by side where there are several trainings; ranks of one training are merged.

    Args:
        paths: run files, and files of learning-rate trials, which get a section of their own.
        output: the page; an existing one is replaced, at once and as a whole.

    Returns:
        The runs that it shows.

    Raises:
        RunFileError: a file is missing or is no run file.
        UsageError: the page cannot be written, or there is no run.
    """
    of_trials = [path for path in paths if holds_limits(path)]
    if len(of_trials) == len(paths):
        raise UsageError(f"{len(paths)} files of learning-rate trials and no run", "report each by itself, or name a run, too")
    runs = read_trainings([path for path in paths if path not in of_trials])
    write_document(render(runs, limits=[read_limits(path) for path in of_trials]), output)
    return runs


def render(recorded: Sequence[Run | Path], live: int = 0, limits: Sequence[Limits] = ()) -> str:
    """Return the text of a page about runs, or about the files that hold them.

    Args:
        recorded: the runs.
        live: the version of a page that is served and renewed; 0 for one that is kept.
        limits: files of learning-rate trials.
    """
    runs = analyse_runs(trainings([read_run(one) if isinstance(one, Path) else one for one in recorded]))
    panels = panels_of(runs)
    sections = limits_sections(limits, panels)
    filters: dict[str, Callable[..., Any]] = {
        "title": title,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}.",
        "evidence": evidence_lines,
        "dotted": _dotted,
        "layer_link": _layer_link,
        "layer_links": _layer_links,
        "plural": plural,
        "attributes": _attribute_lines,
        "remedies": remedies_of,
        "story": story,
        "what_if": lambda one: [*what_if_lines(one.what_if, one.diagnosis.outcome.word), *left_out(one.what_if)],
        "by_verdict": by_verdict,
        "alike": alike,
        "powers": _powers,
        "worst_value": value_of,
        "limit": limit_of,
        "layer_value": layer_value,
        "trial_rows": rows_of,
        "rank_rows": rank_rows,
        "spread_rows": spread_rows,
    }
    return render_document(
        "page.html",
        filters,
        panels.figures,
        live,
        [layer_details(analysed.run) for analysed in runs],
        is_ended=not any(is_going_on(analysed.run) for analysed in runs),
        heading=" · ".join(analysed.label for analysed in runs),
        runs=runs,
        verdicts=[verdict(analysed) for analysed in runs],
        comparison=comparison(runs) if len(runs) > 1 else [],
        overall=overall(runs) if len(runs) > 1 else "",
        differing=what_differs(runs) if len(runs) > 1 else [],
        run_colours=RUNS,
        panels=panels,
        limits=sections,
        tables=[layer_lines(analysed) for analysed in runs],
        first_lines=FIRST_LINES,
        first_events=FIRST_EVENTS,
    )


def _dotted(name: str) -> Markup:
    """Escape a text with dotted names and let it break after their dots and underscores."""
    return Markup(re.sub(r"([._/])(?=[^\W\d])", r"\1<wbr>", str(escape(elide(name)))))


def _layer_link(name: str, analysed: AnalysedRun, run: int) -> Markup:
    """A layer's name that opens the layer by itself; as text where the run has no such layer."""
    place = next((place for place, layer in enumerate(analysed.run.layers) if layer.name == name), None)
    if place is None:
        return _dotted(name)
    return _layer_button(name, place, run)


def _layer_button(name: str, place: int, run: int) -> Markup:
    return Markup('<button type="button" class="layer" data-run="{}" data-layer="{}">{}</button>').format(run, place, _dotted(name))


def _layer_links(sentence: str, analysed: AnalysedRun, run: int) -> Markup:
    """A sentence in which layers that stand with their place open themselves."""
    for place, (layer, number) in enumerate(zip(analysed.run.layers, layer_numbers(analysed.run), strict=True)):
        before, piece, after = sentence.partition(f"{layer.name} (layer {number} of ")
        if piece and layer.name:
            return (
                _layer_links(before, analysed, run)
                + _layer_button(layer.name, place, run)
                + piece[len(layer.name) :]
                + _layer_links(after, analysed, run)
            )
    return _dotted(minus(sentence))


def _powers(text: str) -> Markup:
    """Escape a sentence and set its powers of ten as such."""
    raised = re.compile(r"10\^(-?[\d.]+\d|-?\d)")  # a minus, where a hyphen would let the line break
    return Markup(raised.sub(lambda found: f"10<sup>{found[1].replace('-', '−')}</sup>", str(escape(text))))


def _attribute_lines(run: Run) -> list[tuple[str, str]]:
    """Return the root attributes of a run as lines of text, what was run first, but for remedies that are told in words."""
    attributes = {name: value for name, value in run.attributes.items() if name != "remedies" or not remedies_of(run)}
    first = ["command", "script", "argv", "created", "status", "ending"]
    names = [name for name in first if name in attributes] + sorted(set(attributes) - set(first))
    return [(name, str(attributes[name])) for name in names if str(attributes[name])]
