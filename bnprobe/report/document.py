"""What makes a page one self-contained document: its assets, the policy that lets it run these and nothing else, and its way to disk.

The markup is a template with escaping on; names from a file reach a page through it, or through ``figure_text`` and ``to_json``. The policy
allows the page's own scripts and style sheet by their hashes and forbids all else, the network above all. The same values give the same
bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from bnprobe import __version__
from bnprobe.errors import UsageError
from bnprobe.report.glossary import TERMS, explained
from bnprobe.report.packing import to_json
from bnprobe.report.plotly_bundle import plotly_js
from bnprobe.report.wording import elide, number, remedy_name

TEMPLATES = Path(__file__).with_name("templates")
#: The scripts of a page, each after those that it uses.
SCRIPTS = (
    "packed.js",
    "renewed.js",
    "log_ticks.js",
    "own_scale.js",
    "room.js",
    "step_cursor.js",
    "page_link.js",
    "layer_details.js",
    "page.js",
    "table.js",
)


def render_document(
    template: str,
    filters: Mapping[str, Callable[..., Any]],
    figures: Mapping[str, Any],
    live: int = 0,
    details: Sequence[Any] = (),
    **values: Any,
) -> str:
    """Fill in a template of the folder.

    Args:
        template: its file name.
        filters: what its text is passed through, beside ``prose``, ``minus``, ``elide``, ``explained`` and ``remedy_name``.
        figures: packed figures by the id of their place on the page.
        live: the version of a page that asks its server for the next one; 0 for one that stands by itself.
        details: what the panel of one layer shows beside its curves, one entry a run.
        values: what else it names.

    Returns:
        The page, with plotly, its style sheet, its scripts and the figures inside.
    """
    plotly, style, script = plotly_js(), asset("page.css"), "".join(map(asset, SCRIPTS))
    follower = asset("live.js") if live else ""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    environment.filters |= {"prose": prose, "minus": minus, "elide": elide, "explained": explained, "remedy_name": remedy_name, **filters}
    return environment.get_template(template).render(
        values,
        version=__version__,
        terms=TERMS,
        policy=policy([plotly, script, *([follower] if live else [])], [style, "", *_sheets_of(plotly)], reaches_server=bool(live)),
        plotly=Markup(plotly),
        style=Markup(style),
        script=Markup(script),
        live=live,
        follower=Markup(follower),
        figures=Markup(to_json(figures)),
        details=Markup(to_json(details)),
    )


class _Compiled(jinja2.BytecodeCache):
    """The templates that this process has compiled: a live page fills in the same ones every other second."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def asset(name: str) -> str:
    """Return a file of the templates folder as it will stand between its element's tags."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def policy(scripts: Sequence[str], styles: Sequence[str], *, reaches_server: bool = False) -> str:
    """Allow exactly these scripts and style sheets, and pictures that are part of the page; nothing that would need a network.

    A live page may ask the server that it came from, and no other.

    Plotly adds rules to a style element that it creates empty, hence the hash of "" among ``styles``, and sets style attributes on what it
    draws. A figure saved as a picture passes through a blob.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            *(["connect-src 'self'"] if reaches_server else []),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _sheets_of(plotly: str) -> list[str]:
    """The style sheets that plotly's code puts into a page as it loads; refused, they would leave a message in the console."""
    return re.findall(r"\.textContent='([^'\\]*)'", plotly)


def write_document(text: str, output: Path) -> None:
    """Write a page; an existing one is replaced, at once and as a whole.

    Raises:
        UsageError: it cannot be written.
    """
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(text.encode("utf-8", "replace"))
        unfinished.replace(output)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UsageError(f"cannot write {output}: {error.strerror or error}", "choose another place with -o") from None


#: Before a number that begins a word.
_MINUS = re.compile(r"(?<!\S)(\(?)-(?=\.?\d|infinite)")


def prose(text: str) -> Markup:
    """Escape a sentence, set what stands between backticks as code, its options unbroken, and numbers with a minus and powers of ten.

    A minus belongs to a number that begins a word: `--lr -1` and a range like 3-5 keep their hyphens.
    """
    parts = elide(text).split("`")  # what is between backticks, every second, is to be copied as it stands
    text = "`".join(part if place % 2 else _number_words(part) for place, part in enumerate(parts))
    return Markup(re.sub(r"`([^`]+)`", lambda found: f"<code>{_option_by_option(found[1])}</code>", str(escape(text))))


def minus(words: str) -> str:
    """Set the minus of numbers in words without code.

    >>> minus("the loss fell to -0.005 (-3 before), at -infinite; steps 3-5")
    'the loss fell to −0.005 (−3 before), at −infinite; steps 3-5'
    """
    return _MINUS.sub(r"\1−", words)


def _number_words(words: str) -> str:
    return re.sub(r"(?<![\w.])\d(\.\d+)?e[+-]\d+\b", lambda found: number(float(found[0])), minus(words))


def _option_by_option(code: str) -> str:
    return re.sub(r"(?<!\S)-[\w-]+", r'<span class="option">\g<0></span>', code)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
