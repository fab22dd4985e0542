"""A signal's handler may raise between any two lines: memory that compiled code writes into is then still there."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from bnprobe.measure import fused, pages, weight_copies
from bnprobe.measure.pages import Blocks
from bnprobe.measure.weight_copies import WeightCopies
from tests.observe.instruments.test_update_meter import weights

FILES = {module.__file__ for module in (fused, pages, weight_copies)}


class Interruption(Exception):
    """What the handler raises."""


def interrupted(call: Callable[[], object], line: int) -> bool:
    """Call something, in which an exception comes before the n-th line; return whether there were so many."""
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        left -= event == "line"
        if left < 0:
            sys.settrace(None)
            raise Interruption
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interruption:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.skipif(fused.asks_tensors() is None, reason="built without a C compiler or Python's header")
@pytest.mark.parametrize("is_dropped", [False, True])
def test_copies_of_weights_are_where_they_are_said_to_be(is_dropped: bool) -> None:
    line, more, few, many = 0, True, weights(100), weights(50_000)
    while more:
        copies = WeightCopies()
        assert copies.before(few, None, 2**20) is not None
        more = interrupted(copies.drop if is_dropped else lambda c=copies: c.before(many, None, 2**20), line)  # type: ignore[misc]
        kept = few if is_dropped else many
        found = copies.before(kept, None, 2**20)
        assert found is not None
        assert copies.tensors(found[1])[0].equal(kept[0])
        line += 1
    assert line > 1


def test_no_two_vectors_are_cut_from_the_same_place() -> None:
    line, more = 0, True
    while more:
        blocks = Blocks()
        kept = [blocks.cut(count) for count in (20_000, 100)]
        more = interrupted(lambda b=blocks: b.cut(30_000), line)  # type: ignore[misc]
        kept += [blocks.cut(count) for count in (10, 2_000)]
        assert all(vector.ctypes.data == address for vector, address in kept)
        places = sorted((address, address + vector.nbytes) for vector, address in kept)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(places))
        line += 1
    assert line > 3


@pytest.mark.parametrize("count", [10, 100_000])
def test_tables_are_where_they_are_said_to_be(count: int) -> None:
    line, more = 0, True
    while more:
        memory = fused._Memory()
        more = any(interrupted(lambda m=memory, a=ask: a(m, count), line) for ask in (fused._Memory.scratch, fused._Memory.addresses))  # type: ignore[misc]
        memory.scratch(count // 2)
        sizes, begins = memory.addresses(count // 2)
        assert begins[3] == sizes.ctypes.data
        ctypes.memset(memory.scratch(count // 2), 0, 4 * count)  # which ends the process where that is not there
        line += 1
