"""Which processes of a distributed run are recorded, and into which file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bnprobe.errors import UsageError


@dataclass(frozen=True)
class Rank:
    """The place of this process among the processes of one training."""

    number: int = 0
    world_size: int = 1


def read_rank(environ: Mapping[str, str]) -> Rank:
    """Read what torchrun, accelerate and their like put into the environment; alone if there is nothing to read.

    Returns:
        The rank of this process and how many there are.

    >>> read_rank({"RANK": "3", "WORLD_SIZE": "4"})
    Rank(number=3, world_size=4)
    """
    try:
        size = int(environ.get("WORLD_SIZE", "1"))
        number = int(environ.get("RANK", environ.get("LOCAL_RANK", "0")))
    except ValueError:
        return Rank()
    return Rank(number, size) if size > 1 and 0 <= number < size else Rank()


def output_of_rank(output: Path, rank: Rank, ranks: str) -> Path | None:
    """Name the file of this process, or None if it runs its script unrecorded.

    Args:
        output: The file that was asked for.
        rank: This process.
        ranks: "0" records the first process alone, "all" each into a file of its own.

    Returns:
        ``output`` itself for a process on its own or for "0"; ``run.rank3.h5`` for "all".

    Raises:
        UsageError: ``ranks`` is neither.

    >>> output_of_rank(Path("run.h5"), Rank(3, 4), "all").name
    'run.rank3.h5'
    """
    if ranks not in ("0", "all"):
        raise UsageError(f"--ranks is '{ranks}', expected 0 or all", "--ranks all records every process")
    if rank.world_size == 1:
        return output
    if ranks == "all":
        return output.with_name(f"{output.stem}.rank{rank.number}{output.suffix}")
    return output if rank.number == 0 else None
