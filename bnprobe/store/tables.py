"""The schemas that a file may follow, by the name that the reading process is told."""

from __future__ import annotations

from bnprobe.store import comparison_schema, earlier_schema, limits_schema, schema
from bnprobe.store.schema import Variable

TABLES: dict[str, dict[str, Variable]] = {
    "run": schema.VARIABLES,
    "earlier": earlier_schema.VARIABLES,
    "limits": limits_schema.VARIABLES,
    "comparison": comparison_schema.VARIABLES,
}
