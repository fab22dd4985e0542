"""Tracebacks and stacks as they would be without the recorder.

Where a function of ours stands in the place of another one, an exception that passes leaves its frame in the traceback; and below a script
lie the frames of whoever runs it. The interpreter is not told, the script is: what the ``traceback`` module shows, of whatever a script
prints or logs, leaves these frames out.
"""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from bnprobe.observe.attaching.frames import clean, is_outermost, is_uncounted
from bnprobe.observe.attaching.patches import Patches

#: What the ``traceback`` module goes through; the second from python 3.11.
_WALKS = ("walk_tb", "_walk_tb_with_full_positions")


class QuietTracebacks:
    """Leaves frames of ours out of what the ``traceback`` module shows."""

    def attach(self, patches: Patches) -> None:
        """Begin."""
        for name in _WALKS:
            if hasattr(traceback, name):
                patches.replace(traceback, name, _walking_tracebacks)
        patches.replace(traceback, "walk_stack", _walking_stacks)
        patches.replace(threading, "excepthook", _showing)


def _walking_tracebacks(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(original)
    def walk(tb: TracebackType | None) -> Iterator[Any]:
        return (entry for entry in original(tb) if not is_uncounted(entry[0].f_code))

    return walk


def _walking_stacks(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(original)
    def walk_stack(f: FrameType | None) -> Iterator[Any]:
        return original(f) if f is None else _of_the_script(original(f))

    return walk_stack


def _of_the_script(entries: Iterator[Any]) -> Iterator[Any]:
    for entry in entries:
        code = entry[0].f_code
        if is_outermost(code):
            return
        if not is_uncounted(code):
            yield entry


def _showing(original: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(original)
    def excepthook(args: Any, /) -> None:
        if args.exc_value is not None:
            clean(args.exc_value)
            args = type(args)((args.exc_type, args.exc_value, args.exc_value.__traceback__, args.thread))
        original(args)

    return excepthook
