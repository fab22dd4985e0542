"""Settings of all tests."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The tests are many small processes on few cores: more threads than cores make each of them crawl. Before any of them imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has SIGINT ignored, nohup SIGHUP, and so would every script that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def hooks_of_steps() -> Iterator[None]:
    """Take away the hooks of optimizers' steps that a test leaves: remedies stay when a recording ends, and tests share a process."""
    before = {id(hooks): set(hooks) for hooks in _hooks_of_steps()}
    yield
    for hooks in _hooks_of_steps():
        for left in set(hooks) - before.get(id(hooks), set()):
            del hooks[left]


def _hooks_of_steps() -> list[dict[int, Any]]:
    found = sys.modules.get("torch.optim.optimizer")
    return [] if found is None else [found._global_optimizer_pre_hooks, found._global_optimizer_post_hooks]


#: Many samples of one thing: the first to go without where there is not time for all.
LAST = Path(__file__).parent / "faults"
STARTED = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--within",
        type=float,
        metavar="SECONDS",
        help="begin no test later than this many seconds after the start, and say at the end how many were not run: for machines "
        "that are slow and stop a job at a fixed time",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--within"):
        items.sort(key=lambda item: LAST in item.path.parents)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--within")
    if seconds and time.monotonic() - STARTED > seconds:
        pytest.skip(f"not run: its turn came after the {seconds:.0f} s of --within")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    late = sum("not run: its turn came after" in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if late:
        terminalreporter.write_line(f"NOT RUN: {late} tests, for their turn came after the time that --within gave", red=True, bold=True)
