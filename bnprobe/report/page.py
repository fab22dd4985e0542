"""One self-contained page about one run or several: it works offline and sends nothing anywhere.

The markup is a template with escaping on; names from a file reach the page through it, or through ``figure_text`` and ``to_json``. A
content-security policy allows the page's own scripts and style sheet by their hashes and forbids all else, the network above all. The
same runs give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from bnprobe import __version__
from bnprobe.errors import UsageError
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.layer_table import layer_lines
from bnprobe.report.packing import to_json
from bnprobe.report.panels import panels_of
from bnprobe.report.remedies import remedies_of
from bnprobe.report.verdict import comparison, evidence_lines, title, verdict
from bnprobe.report.wording import elide, number, plural
from bnprobe.store.reader import Run, read_run

TEMPLATES = Path(__file__).with_name("templates")
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
    page = render(paths).encode("utf-8", "replace")
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(page)
        unfinished.replace(output)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UsageError(f"cannot write {output}: {error.strerror or error}", "choose another place with -o") from None


def render(paths: Sequence[Path]) -> str:
    """Return the page's text."""
    runs = analyse_runs([read_run(path) for path in paths])
    panels = panels_of(runs)
    plotly, style, script = get_plotlyjs(), _asset("page.css"), _asset("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            version=__version__,
            heading=" · ".join(analysed.label for analysed in runs),
            policy=_policy(scripts=[plotly, script], styles=[style, ""]),
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


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Allow exactly these scripts and style sheets, and pictures that are part of the page; nothing that would need a network.

    Plotly adds rules to a style element that it creates empty, hence the hash of "" among ``styles``, and sets style attributes on what it
    draws. (The style sheet of its maps, which no figure here uses, is refused.) A figure saved as a picture passes through a blob.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    """Return a file of the templates folder as it will stand between its element's tags."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


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
        "prose": _prose,
        "title": title,
        "evidence": evidence_lines,
        "dotted": _dotted,
        "elide": elide,
        "plural": plural,
        "attributes": _attribute_lines,
        "remedies": remedies_of,
    }
    return environment


def _prose(text: str) -> Markup:
    """Escape a sentence, set what stands between backticks as code, and 1.2e+06 as a power of ten."""
    text = re.sub(r"(?<![\w.])\d(\.\d+)?e[+-]\d+\b", lambda found: number(float(found[0])), elide(text))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _dotted(name: str) -> Markup:
    """Escape a text with dotted names and let it break after their dots and underscores."""
    return Markup(re.sub(r"([._/])(?=[^\W\d])", r"\1<wbr>", str(escape(elide(name)))))


def _attribute_lines(run: Run) -> list[tuple[str, str]]:
    """Return the root attributes of a run as lines of text, what was run first, but for remedies that are told in words."""
    attributes = {name: value for name, value in run.attributes.items() if name != "remedies" or not remedies_of(run)}
    first = ["command", "script", "argv", "created", "status", "ending"]
    names = [name for name in first if name in attributes] + sorted(set(attributes) - set(first))
    return [(name, str(attributes[name])) for name in names if str(attributes[name])]
