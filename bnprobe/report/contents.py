"""What a run file holds, as a document for programs: what ``bnprobe inspect --json`` prints.

```
{
  "schema": "bnprobe-contents-1",
  "runs": [
    {
      "file": text, "attributes": {name: text or number}, "status": text, "steps": whole number, "observed_steps": whole number,
      "layers": [{"name", "type", "kind", "role", "depth", "channels"}], "parameters": [{"name", "layer", "shape", "size"}],
      "groups": [text], "events": [{"step", "kind", "text"}], "coverage": [{"subject", "reason", "times"}],
      "variables": [{"name", "dims", "units"}] that were stored, "problems": [text],
      "ranks": [text], the files that a merged run was made of; empty for one file
    }
  ]
}
```
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES

SCHEMA = "bnprobe-contents-1"


def to_json(runs: Sequence[Run]) -> str:
    """Return the document, ASCII only, so that it survives any terminal and pipe."""
    return json.dumps({"schema": SCHEMA, "runs": [contents(run) for run in runs]}, indent=2, allow_nan=False, default=str)


def contents(run: Run) -> dict[str, Any]:
    """Return one run's entry of the document."""
    layers = ("name", "type", "kind", "role", "depth", "channels")
    return {
        "file": str(run.path),
        "attributes": {name: value if value == value else None for name, value in run.attributes.items()},
        "status": run.status,
        "steps": run.trained_steps,
        "steps_with_detail": run.steps,
        "observed_steps": int(run.observed().sum()),
        "layers": [{name: getattr(layer, name) for name in layers} for layer in run.layers],
        "parameters": [{name: getattr(one, name) for name in ("name", "layer", "shape", "size")} for one in run.parameters],
        "groups": run.groups,
        "events": [event._asdict() for event in run.events],
        "coverage": [gap._asdict() for gap in run.gaps],
        "variables": [
            {"name": name, "dims": list(VARIABLES[name].dims), "units": VARIABLES[name].units}
            for name in VARIABLES
            if name in run.variables
        ],
        "problems": run.problems,
        "ranks": [str(one.path) for one in run.ranks],
    }
