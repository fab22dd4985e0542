"""Settings of all tests."""

from __future__ import annotations

import os

# The tests are many small processes on few cores: more threads than cores make each of them crawl. Before any of them imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
