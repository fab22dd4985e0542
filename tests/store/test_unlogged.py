"""What the HDF5 library logs of our own work stays out of the script's log."""

from __future__ import annotations

import logging
import threading

import pytest

from bnprobe.store.unlogged import unlogged


def test_only_this_threads_lines_and_only_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("h5py._conv")
    with unlogged():
        logger.debug("ours")
        other = threading.Thread(target=logger.debug, args=("another thread's",))
        other.start()
        other.join()
    logger.debug("the script's")
    assert caplog.messages == ["another thread's", "the script's"]
