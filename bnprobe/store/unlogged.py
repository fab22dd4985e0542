"""Keep what the HDF5 library logs of our own work out of the script's log.

It tells of every conversion that it makes ready, at the level of debugging. A script that logs everything would find that among its lines.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

#: Who logs there; a filter of a logger above it would not be asked.
_LOGGERS = ("h5py._conv",)


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Let nothing be logged of what the library does in this thread meanwhile."""
    own = threading.get_ident()

    def is_another_threads(record: logging.LogRecord) -> bool:
        return threading.get_ident() != own

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(is_another_threads)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_another_threads)
