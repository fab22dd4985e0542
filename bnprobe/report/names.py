"""Names from a run file, made fit for a figure: escaped, shortened, and few enough to be read on an axis.

A layer's name is whatever the script called it, and a run file may come from anywhere. Plotly renders a subset of HTML in every text it
draws, so a name is escaped before it becomes one; the page's template escapes on its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnprobe.store.reader import Run

LONGEST_TICK = 24
LONGEST_HOVER = 120


def figure_text(text: str, longest: int = LONGEST_HOVER) -> str:
    """Return text that plotly draws as it stands: no markup, no control characters, at most ``longest`` characters.

    >>> figure_text("<b>conv</b> & co")
    '&lt;b&gt;conv&lt;/b&gt; &amp; co'
    """
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Labels(np.ndarray):
    """An array of texts. Plotly copies all that it is given, deeply; texts need none, and a heat map has one a cell."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Labels:
        """Hold some texts, (N,)."""
        return np.array(texts, dtype=object).view(cls)

    def __deepcopy__(self, memo: dict[int, Any]) -> Labels:  # type: ignore[override]
        """Copy the array, and not the texts."""
        return self.copy()


def common_prefix(names: Sequence[str]) -> str:
    """Return the leading dotted components that every name shares, with their dot; "" where there are none.

    >>> common_prefix(["model.layer1.conv", "model.head"])
    'model.'
    """
    if len(names) < 2:
        return ""
    parents = [name.split(".")[:-1] for name in names]
    shared: list[str] = []
    for components in zip(*parents, strict=False):
        if len(set(components)) > 1:
            break
        shared.append(components[0])
    return ".".join(shared) + "." if shared else ""


def short_name(name: str, prefix: str = "", longest: int = LONGEST_TICK) -> str:
    """Shorten a dotted name for an axis: leading components give way to their initial and number, then to an ellipsis.

    >>> short_name("model.stage1.conv1", "model.")
    'stage1.conv1'
    >>> short_name("transformer.encoder.layer.11.attention.output")
    't.e.l.11.a.output'
    """
    name = name[len(prefix) :] if name.startswith(prefix) else name
    parts = name.split(".")
    for i in range(len(parts) - 1):
        if sum(map(len, parts)) + len(parts) - 1 <= longest:
            break
        digits = "".join(character for character in parts[i] if character.isdigit())
        parts[i] = parts[i] if parts[i].isdigit() else parts[i][:1] + digits[:4]
    name = ".".join(parts)
    return name if len(name) <= longest else "…" + name[-(longest - 1) :]


def tick_names(names: Sequence[str], most: int) -> tuple[list[int], list[str]]:
    """Choose at most ``most`` evenly spaced layers, the first among them, and return their indices and their short, escaped names."""
    stride = max(1, -(-len(names) // most))
    prefix = common_prefix(names)
    chosen = list(range(0, len(names), stride))
    return chosen, [figure_text(short_name(names[i], prefix)) for i in chosen]


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by its file's stem; runs of equal stems by their folder, too, or else by a number."""
    labels = [run.name for run in runs]
    if len(set(labels)) < len(labels):
        labels = [str(Path(run.path.parent.name) / run.name) for run in runs]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({number})" for number, label in enumerate(labels, 1)]
    return labels
