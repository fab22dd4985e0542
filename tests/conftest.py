"""Settings of all tests."""

from __future__ import annotations

import os
import signal

# The tests are many small processes on few cores: more threads than cores make each of them crawl. Before any of them imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has SIGINT ignored, nohup SIGHUP, and so would every script that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
