"""Functions of the standard library as they were before the script began.

A script may replace them, for a clock that stands still, say, or is told other signal handlers than there are. To be imported before it
begins. They are attributes of a class, because libraries that stop the clock replace what modules hold.
"""

from __future__ import annotations

import os
import signal
import time


class Original:
    """Clocks in seconds, the process, its signals."""

    perf_counter = staticmethod(time.perf_counter)
    monotonic = staticmethod(time.monotonic)
    getpid = staticmethod(os.getpid)
    kill = staticmethod(os.kill)
    getsignal = staticmethod(signal.getsignal)
    set_signal = staticmethod(signal.signal)
    raise_signal = staticmethod(signal.raise_signal)
