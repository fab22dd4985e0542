"""One JSON document: the run's attributes, its tables by column, and its diagnosis.

```
{"schema": "bnprobe-tables-1", "attributes": {...}, "tables": {name: {column: [...]}}, "diagnosis": what diagnose --json prints}
```

JSON has no numbers that are not finite: null is "not observed", infinities are the texts "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.document import to_document
from bnprobe.integrations.tables import tables
from bnprobe.store.reader import Run

SCHEMA = "bnprobe-tables-1"


def write(run: Run, file: Path) -> list[Path]:
    """Write the document."""
    document = {
        "schema": SCHEMA,
        "attributes": run.attributes,
        "tables": {name: {key: _values(column) for key, column in columns.items()} for name, columns in tables(run).items()},
        "diagnosis": to_document(diagnose(run)),
    }
    file.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
    return [file]


def _values(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind != "f":
        return values
    # The shortest decimal that gives the same float32 back, and not the float64 beside it.
    exact = values if column.dtype.itemsize == 8 else [float(str(value)) for value in column]
    return [value if math.isfinite(value) else None if math.isnan(value) else str(value) for value in exact]
