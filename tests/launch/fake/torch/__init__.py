"""Stands in for torch where a test is about running scripts: it is imported in a millisecond and takes steps."""

import os

threads_seen_at_import = os.environ.get("OMP_NUM_THREADS")
observers = []


def step():
    for observer in observers:
        observer()
