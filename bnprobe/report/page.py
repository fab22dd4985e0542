"""One self-contained page about one run or several: it works offline and sends nothing anywhere.

The markup is a template with escaping on; names from a file reach the page through it, or through ``figure_text`` and ``to_json``. A
content-security policy allows the page's own scripts and style sheet by their hashes and forbids all else, the network above all. The
same runs give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from bnprobe import __version__
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.document import TEMPLATES, asset, policy, prose, write_document
from bnprobe.report.layer_table import layer_lines
from bnprobe.report.packing import to_json
from bnprobe.report.panels import panels_of
from bnprobe.report.remedies import remedies_of
from bnprobe.report.tolerance_story import story
from bnprobe.report.verdict import comparison, evidence_lines, title, verdict
from bnprobe.report.wording import elide, plural
from bnprobe.store.reader import Run, read_run

#: Layers of the table that are shown at once; the others unfold.
FIRST_LINES = 15
#: Events shown at once.
FIRST_EVENTS = 12


def write_page(paths: list[Path], output: Path) -> None:
    """Write a page about run files, side by side where there are several.

    Args:
        paths: run files.
        output: the page; an existing one is replaced, at once and as a whole.

    Raises:
        RunFileError: a file is missing or is no run file.
        UsageError: the page cannot be written.
    """
    write_document(render(paths), output)


def render(paths: Sequence[Path]) -> str:
    """Return the page's text."""
    runs = analyse_runs([read_run(path) for path in paths])
    panels = panels_of(runs)
    plotly, style, script = get_plotlyjs(), asset("page.css"), asset("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            version=__version__,
            heading=" · ".join(analysed.label for analysed in runs),
            policy=policy(scripts=[plotly, script], styles=[style, ""]),
            plotly=Markup(plotly),
            style=Markup(style),
            script=Markup(script),
            figures=Markup(to_json(panels.figures)),
            runs=runs,
            verdicts=[verdict(analysed) for analysed in runs],
            comparison=comparison(runs) if len(runs) > 1 else [],
            panels=panels,
            tables=[layer_lines(analysed) for analysed in runs],
            first_lines=FIRST_LINES,
            first_events=FIRST_EVENTS,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": prose,
        "title": title,
        "evidence": evidence_lines,
        "dotted": _dotted,
        "elide": elide,
        "plural": plural,
        "attributes": _attribute_lines,
        "remedies": remedies_of,
        "story": story,
    }
    return environment


def _dotted(name: str) -> Markup:
    """Escape a text with dotted names and let it break after their dots and underscores."""
    return Markup(re.sub(r"([._/])(?=[^\W\d])", r"\1<wbr>", str(escape(elide(name)))))


def _attribute_lines(run: Run) -> list[tuple[str, str]]:
    """Return the root attributes of a run as lines of text, what was run first, but for remedies that are told in words."""
    attributes = {name: value for name, value in run.attributes.items() if name != "remedies" or not remedies_of(run)}
    first = ["command", "script", "argv", "created", "status", "ending"]
    names = [name for name in first if name in attributes] + sorted(set(attributes) - set(first))
    return [(name, str(attributes[name])) for name in names if str(attributes[name])]
