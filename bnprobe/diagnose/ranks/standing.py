"""How many ranks there are of a training, which are missing, and where each ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnprobe.diagnose.ranks.remark import Remark
from bnprobe.store.reader import Run

#: Ranks that are named one by one.
MOST_NAMED = 12


def number_of(run: Run) -> int:
    """Return the number of a rank; 0 for a process by itself."""
    text = str(run.attributes.get("rank", "0"))
    return int(text) if text.isascii() and text.isdecimal() else 0


def world_size(run: Run) -> int:
    """Return how many ranks trained together."""
    text = str(run.attributes.get("world_size", "1"))
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 8 else 1


def missing(run: Run) -> tuple[int, ...]:
    """Return the numbers of the ranks that a merged run lacks."""
    present = {number_of(rank) for rank in run.ranks}
    return tuple(number for number in range(world_size(run)) if number not in present)


def named(numbers: Sequence[int]) -> str:
    """Name ranks.

    >>> named([1]), named([0, 2, 3])
    ('rank 1', 'ranks 0, 2 and 3')
    """
    if len(numbers) == 1:
        return f"rank {numbers[0]}"
    if len(numbers) > MOST_NAMED:
        return f"ranks {', '.join(map(str, numbers[:MOST_NAMED]))} and {len(numbers) - MOST_NAMED} more"
    return f"ranks {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def standing(run: Run) -> str:
    """Say how many ranks were merged and which are missing; of one rank by itself, that there are others; "" of a single process."""
    size = world_size(run)
    if not run.ranks:
        return f"rank {number_of(run)} of {size}, by itself: give the files of all ranks together to merge them" if size > 1 else ""
    gone = missing(run)
    if not gone:
        return f"{len(run.ranks)} ranks merged"
    return f"{len(run.ranks)} of {size} ranks merged; {named(gone)} {'is' if len(gone) == 1 else 'are'} missing"


def unequal_ends(run: Run) -> Iterator[Remark]:
    """Say which ranks end before the others: theirs may be what ended all."""
    last = {number_of(rank): int(rank["step"][-1]) if rank.steps else -1 for rank in run.ranks}
    status = {number_of(rank): rank.status for rank in run.ranks}
    final = max(last.values())
    early = [number for number, step in last.items() if step < final]
    if not early:
        return
    parts = [
        f"rank {number} {'ends at step ' + format(last[number], ',') if last[number] >= 0 else 'recorded no step'} ({_how(status[number])})"
        for number in early[:MOST_NAMED]
    ]
    rest = final - min(last[number] for number in early)
    text = f"{'; '.join(parts)}, the others at step {final:,}: the last {rest:,} steps are merged of fewer ranks"
    killed = [number for number in early if status[number] == "running"]
    if killed:
        text += f". A process that is killed keeps all but its last two seconds, so that {named(killed)} may have come as far"
    yield Remark("unequal-ends", "warning", f"{text}.")


def _how(status: str) -> str:
    return "not closed: killed, or still going" if status == "running" else status
