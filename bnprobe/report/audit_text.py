"""An audit in the terminal, and as a document for programs.

```
{
  "schema": "bnprobe-audit-1",
  "run": {"name": text, "status": text, "steps": whole number},
  "norms": [{"name": text, "type": text, "family": "batch" | "instance" | "group" | "layer" | "rms" | "other"}],
  "rows": [
    {
      "id": text, stable, "title": text,
      "verdict": "costs" | "could go" | "cannot tell" | "fine" | "absent",
      "value": number or null, "limit": number or null, "units": text,
      "says": text, "advice": text, "formula": text, "source": text,
      "layers": [{"name": text, "value": number or null, "costs": true or false}]
    }
  ]
}
```

Numbers that are not finite are null. Fields may be added within a version; none changes its meaning or goes.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bnprobe.analyse.normalisation import norms
from bnprobe.analyse.views import RunView
from bnprobe.diagnose.audit import AuditRow, LayerValue
from bnprobe.diagnose.text import WIDTH, printable
from bnprobe.diagnose.wording import measured, number
from bnprobe.report.wording import plural

SCHEMA = "bnprobe-audit-1"
#: Layers that are listed below a row, the worst first.
MOST_LISTED = 4
#: The order in which verdicts are told.
ORDER = ("costs", "could go", "cannot tell", "fine", "absent")
NO_NORM = "No layer of this run normalises: there is nothing to audit."


def to_text(run: RunView, rows: Sequence[AuditRow], *, every_layer: bool = False) -> str:
    """Lay an audit out for reading: a line a row, and below it what to know where it costs or cannot be told.

    Args:
        run: the audited run.
        rows: its audit.
        every_layer: list the values of all layers, not of the worst alone.
    """
    if not rows:
        return NO_NORM
    title, figure = max(len(row.title) for row in rows), max(len(value_of(row)) for row in rows)
    lines = [printable(f"{run.name}: {kinds(run)}"), ""]
    for row in by_verdict(rows):
        limit = f"limit {limit_of(row)}" if limit_of(row) else ""
        lines.append(f"{row.verdict:11}  {row.title:{title}}  {value_of(row):{figure}}  {limit}".rstrip())
        if row.verdict in ("costs", "could go", "cannot tell"):
            lines += _paragraph(row.says)
            lines += _paragraph(f"To do: {row.advice}.") if row.advice else []
        if every_layer or row.verdict in ("costs", "could go"):
            listed = row.layers if every_layer else worst(row)[:MOST_LISTED]
            lines += [printable(f"    {one.layer}: {layer_value(one, row)}{' *' if one.costs else ''}") for one in listed]
    return "\n".join(lines)


def to_json(run: RunView, rows: Sequence[AuditRow]) -> str:
    """The audit as the documented tree of plain values, indented, ASCII only."""
    document = {
        "schema": SCHEMA,
        "run": {"name": run.name, "status": run.status, "steps": run.trained_steps},
        "norms": [{"name": run.layers[i].name, "type": run.layers[i].type, "family": family} for i, family in norms(run)],
        "rows": [
            {
                "id": row.id,
                "title": row.title,
                "verdict": row.verdict,
                "value": _finite(row.value),
                "limit": _finite(row.limit),
                "units": row.units,
                "says": row.says,
                "advice": row.advice,
                "formula": row.formula,
                "source": row.source,
                "layers": [{"name": one.layer, "value": _finite(one.value), "costs": one.costs} for one in row.layers],
            }
            for row in rows
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def kinds(run: RunView) -> str:
    """What normalises, in words: "9 batch norms, 1 layer norm"."""
    counts = Counter(family for _, family in norms(run))
    named = {"rms": "RMS norm", "other": "other norm"}
    return ", ".join(plural(count, named.get(family, f"{family} norm")) for family, count in counts.most_common())


def worst(row: AuditRow) -> list[LayerValue]:
    """The layers beyond the limit, the worst first."""
    small_is_bad = row.id in ("few-values", "idle")
    return sorted((one for one in row.layers if one.costs), key=lambda one: one.value if small_is_bad else -one.value)


def value_of(row: AuditRow) -> str:
    """The worst value with its unit; a dash without one."""
    return measured(row.value, row.units) if math.isfinite(row.value) else "–"


def layer_value(one: LayerValue, row: AuditRow) -> str:
    """The value of one layer with its unit; a dash without one."""
    return measured(one.value, row.units) if math.isfinite(one.value) else "–"


def limit_of(row: AuditRow) -> str:
    """The limit of a row; empty without one."""
    return number(row.limit) if math.isfinite(row.limit) else ""


def by_verdict(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """The rows in the order in which they are told: what costs first."""
    return sorted(rows, key=lambda row: ORDER.index(row.verdict))


def alike(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """The rows, those of which the same is said joined: what was not measured is one row of several titles."""
    joined: dict[tuple[str, str, str] | str, AuditRow] = {}
    for row in rows:
        key = row.id if row.layers else (row.verdict, row.says, row.advice)
        same = joined.get(key)
        joined[key] = replace(row, title=f"{same.title}; {row.title}") if same else row
    return list(joined.values())


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
