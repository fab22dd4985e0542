"""A script's recursion limit, and the room above it."""

from __future__ import annotations

import sys

import pytest

from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.attaching.recursion import LARGEST, OWN_FRAMES, RecursionRoom, with_room


def _depth() -> int:
    def deeper(depth: int) -> int:
        try:
            return deeper(depth + 1)
        except RecursionError:
            return depth

    return deeper(0)


def test_the_script_sees_its_own_limit_and_has_room_above_it() -> None:
    own, plain = sys.getrecursionlimit(), _depth()
    room, patches = RecursionRoom(), Patches()
    room.attach(patches)
    try:
        assert sys.getrecursionlimit() == own
        assert _depth() >= plain + OWN_FRAMES
        sys.setrecursionlimit(own + 300)
        assert sys.getrecursionlimit() == own + 300
        assert _depth() >= plain + 300 + OWN_FRAMES
        for wrong, error in ((-1, ValueError), ("1", TypeError), (1.5, TypeError)):
            with pytest.raises(error):
                sys.setrecursionlimit(wrong)  # type: ignore[arg-type]
        assert sys.getrecursionlimit() == own + 300
    finally:
        patches.undo()
        room.detach()
        assert sys.getrecursionlimit() == own + 300, "what the script has set stays"
        sys.setrecursionlimit(own)
    assert _depth() == pytest.approx(plain, abs=2)


def test_the_largest_limit_has_no_room_above_it() -> None:
    assert with_room(LARGEST) == LARGEST
