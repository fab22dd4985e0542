"""Which processes of a distributed run are recorded, and into which file."""

from __future__ import annotations

from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.processes import Rank


def output_of_rank(output: Path, rank: Rank, ranks: str, restart: int = 0) -> Path | None:
    """Name the file of this process, or None if it runs its script unrecorded.

    Args:
        output: The file that was asked for.
        rank: This process.
        ranks: "0" records the first process alone, "all" each into a file of its own.
        restart: How often the launcher has started all workers again: each start has files of its own.

    Returns:
        ``output`` itself for a process on its own or for "0"; ``run.rank3.h5`` for "all"; ``run.restart1.rank3.h5`` after a restart.

    Raises:
        UsageError: ``ranks`` is neither.

    >>> output_of_rank(Path("run.h5"), Rank(3, 4), "all").name
    'run.rank3.h5'
    """
    if ranks not in ("0", "all"):
        raise UsageError(f"--ranks is '{ranks}', expected 0 or all", "--ranks all records every process, each into a file of its own")
    if restart:
        output = output.with_name(f"{output.stem}.restart{restart}{output.suffix}")
    if rank.world_size == 1:
        return output
    if ranks == "all":
        return output.with_name(f"{output.stem}.rank{rank.number}{output.suffix}")
    return output if rank.number == 0 else None
