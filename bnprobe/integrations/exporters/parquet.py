"""Parquet tables: a file each, with the unit, the words and the formula of every column in its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bnprobe.integrations.libraries import required
from bnprobe.integrations.tables import Table, tables
from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES


def write(run: Run, folder: Path) -> list[Path]:
    """Write each table that has a row to a file of its own."""
    arrow, parquet = required("pyarrow", "bnprobe[export]"), required("pyarrow.parquet", "bnprobe[export]")
    files = []
    for name, columns in tables(run).items():
        file = folder / f"{name}.parquet"
        parquet.write_table(_arrow_table(arrow, columns), file)
        files.append(file)
    return files


def _arrow_table(arrow: Any, columns: Table) -> Any:
    arrays = {name: _array(arrow, column) for name, column in columns.items()}
    fields = [arrow.field(name, array.type, metadata=_metadata(name)) for name, array in arrays.items()]
    return arrow.Table.from_arrays(list(arrays.values()), schema=arrow.schema(fields))


def _array(arrow: Any, column: NDArray[Any]) -> Any:
    # from_pandas: NaN, "not observed" in the run file, is a missing value in parquet
    return arrow.array(column.tolist() if column.dtype == object else column, from_pandas=True)


def _metadata(name: str) -> dict[str, str]:
    variable = VARIABLES.get(name)
    if variable is None:
        return {}
    words = {"units": variable.units, "long_name": variable.long_name, "formula": variable.formula, "source": variable.source}
    return {key: text for key, text in words.items() if text}
