"""The place of this process among those of one training, and what all of them share without asking each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

#: What a gap is called that is a training in a process that the script started.
IN_CHILDREN = "training inside child processes"
#: Processor time of children, in seconds, from which they may have trained: to import torch takes more.
TELLING_SECONDS = 0.5
#: What all processes of one start share, where we were told: of a script whose own processes are recorded.
LAUNCH = "BNPROBE_LAUNCH"
#: What torchrun and its like tell every process of one start alike. A restart of the workers is another start.
_SHARED = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")


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


def restarts(environ: Mapping[str, str]) -> int:
    """Return how often a launcher has started its workers again before this start.

    >>> restarts({"TORCHELASTIC_RESTART_COUNT": "2"}), restarts({})
    (2, 0)
    """
    count = environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return int(count) if count.isascii() and count.isdecimal() else 0


def is_one_of_many(environ: Mapping[str, str]) -> bool:
    """Return whether this process may train with others: it is a rank, or belongs to a script whose processes are recorded.

    >>> is_one_of_many({"RANK": "1", "WORLD_SIZE": "2"}), is_one_of_many({})
    (True, False)
    """
    return LAUNCH in environ or read_rank(environ).world_size > 1


def seconds_of_children() -> float:
    """Return the processor time of ended processes that this one started, in seconds; 0 where the system does not say (Windows)."""
    times = os.times()
    return times.children_user + times.children_system


def unrecorded_children(seconds: float, count: int = 0) -> str:
    """Return a sentence that processes may have trained that nobody looked at, and what records them.

    >>> unrecorded_children(4.26)
    'processes that the script started took 4.3 s of processor time and were not looked at; if they train: bnprobe record --children'
    """
    what = (
        "processes that the script started" if not count else f"{count} {'process' if count == 1 else 'processes'} that the script started"
    )
    return f"{what} took {seconds:.1f} s of processor time and were not looked at; if they train: bnprobe record --children"


def attributes_of(environ: Mapping[str, str], rank: Rank | None = None) -> dict[str, str]:
    """Say for the run file which process of which start this is.

    Args:
        environ: the environment.
        rank: which of how many processes this is, where that is known better than from the environment.

    Returns:
        rank, world_size; and where there are several, ``launch``, which is the same for all of one start and most likely for no other that
        began within the minute, ``launch_node``, the number of the machine, and ``launcher``, what is the same for all of one start on one
        machine. The name of no machine is among them.
    """
    rank = read_rank(environ) if rank is None else rank
    found = {"rank": str(rank.number), "world_size": str(rank.world_size)}
    if rank.world_size > 1:
        shared = "\n".join(environ.get(name, "") for name in _SHARED)
        found["launch"] = environ.get(LAUNCH) or hashlib.sha256(shared.encode()).hexdigest()[:16]
        found["launch_node"] = environ.get("GROUP_RANK", "0")
        found["launcher"] = environ.get(LAUNCH) or str(os.getppid())
    return found
