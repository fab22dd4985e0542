"""``bnprobe export``: a run file in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    runs: Annotated[
        list[Path], typer.Argument(help="A run file, or those of all ranks of a training.", show_default=False, metavar="RUN...")
    ],
    to: Annotated[str, typer.Option("--to", metavar="csv|parquet|tensorboard|json", help="The format.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Where to (default: <run>.json, or a folder <run>.<format>, here)."),
    ] = None,
) -> None:
    """Write a run in the format of another tool, diagnosis included where the format has room for it.

    \b
      bnprobe export run.h5 --to csv                 a folder of tables: layers.csv, steps.csv, parameters.csv, ...
      bnprobe export run.h5 --to parquet             the same for pandas, polars, DuckDB, with units and formulas
      bnprobe export run.h5 --to tensorboard -o logs/run
      bnprobe export run.h5 --to json                one document
      bnprobe export run.rank*.h5 --to csv           the ranks of one training, merged
    """  # noqa: D301 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.integrations.exporters import export as export_run
    from bnprobe.ranks import read_training, stem_of
    from bnprobe.report.wording import plural, size

    files = export_run(read_training(runs, "export"), to, output or Path(f"{stem_of(runs)}.{to}"))
    total = sum(file.stat().st_size for file in files)
    place = files[0] if len(files) == 1 else files[0].parent
    print(f"wrote {place} ({plural(len(files), 'file')}, {size(total)})")
