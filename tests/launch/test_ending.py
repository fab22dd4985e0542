from __future__ import annotations

import signal

import pytest

from bnprobe.launch.ending import Ending, describe, from_exception, from_os_exit, from_signal


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SystemExit(), Ending("finished", "sys.exit()", 0)),
        (SystemExit(None), Ending("finished", "sys.exit()", 0)),
        (SystemExit(False), Ending("finished", "sys.exit(0)", 0)),
        (SystemExit(256), Ending("exited", "sys.exit(256)", 0)),
        (SystemExit(-1), Ending("exited", "sys.exit(-1)", 255)),
        (SystemExit("no data"), Ending("exited", "sys.exit('no data')", 1)),
        (SystemExit(1, 2), Ending("exited", "sys.exit((1, 2))", 1)),
        (KeyboardInterrupt(), Ending("interrupted", "KeyboardInterrupt", 130)),
        (ValueError("x\ny"), Ending("crashed", "ValueError: x", 1)),
        (MemoryError(), Ending("crashed", "MemoryError", 1)),
    ],
)
def test_from_exception(error, expected):
    assert from_exception(error) == expected


def test_from_signal():
    assert from_signal(signal.SIGHUP) == Ending("interrupted", "SIGHUP", 129)


def test_from_os_exit():
    assert from_os_exit(-1) == Ending("exited", "os._exit(-1)", 255)


def test_error_that_cannot_be_read():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe(Broken()) == f"{Broken.__qualname__}: <no readable message>"
