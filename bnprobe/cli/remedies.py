"""``bnprobe remedies``: list what ``bnprobe record --remedy`` can change about a training."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Annotated, Any

import typer


def remedies(
    names: Annotated[list[str] | None, typer.Argument(help="Show these alone.", show_default=False, metavar="[NAME]...")] = None,
) -> None:
    """List the remedies: what each does and touches, its settings with their defaults, and where it comes from.

    \b
      bnprobe remedies
      bnprobe record --remedy msr:w=0.99,noise --remedy clip-norm:max=2 train.py
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.remedies.catalogue import ENTRIES
    from bnprobe.remedies.specification import parse

    wanted = [parse(name).entry for name in names] if names else ENTRIES
    print("\n\n".join(_describe(entry) for entry in wanted))


def _describe(entry: Any) -> str:
    lines = [entry.name, f"  {entry.summary}", *_labelled("touches", entry.touches)]
    for field in dataclasses.fields(entry.settings):
        lines += _labelled("setting", f"{_usage(field)}: {field.metadata['text']}")
    return "\n".join([*lines, *_labelled("source", entry.source)])


def _usage(field: dataclasses.Field[Any]) -> str:
    """Show a setting as it is typed, with its default and what else it accepts."""
    from bnprobe.remedies.specification import shown

    accepts = [*field.metadata["choices"], *field.metadata["names"]]
    others = [word for word in accepts if word != field.default]
    usage = f"{field.name.replace('_', '-')}={shown(field.default)}"
    return f"{usage} ({' or '.join(others)})" if others else usage


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=f"  {label:8} ", subsequent_indent=" " * 11)
