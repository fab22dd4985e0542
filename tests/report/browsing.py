"""A headless Chromium for the tests and benchmarks of the page: Debian's own, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
LACKING = "no Chromium on PATH" if CHROMIUM is None else "no Playwright: pip install -e '.[browser]'" if not find_spec("playwright") else ""
#: Where a browser is promised, its tests fail without one instead of being skipped.
IS_PROMISED = os.environ.get("BNPROBE_BROWSER") == "1"
SKIPS = bool(LACKING) and not IS_PROMISED


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Start a browser that is gone afterwards.

    Args:
        arguments: its command-line options.
    """
    from playwright.sync_api import sync_playwright

    options = [*arguments, "--disable-background-networking", "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


def wait_until_drawn(page: Any) -> int:
    """Wait for a report to have drawn the figures in and near the window; return how many."""
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=120_000)
    return int(page.evaluate("document.documentElement.dataset.drawn"))


def wait_for(page: Any, expression: str, arg: Any = None, seconds: float = 30.0) -> None:
    """Wait until an expression is true on a page. Playwright's own waiting evaluates text in the page, which a report's policy forbids."""
    last = time.monotonic() + seconds
    while not page.evaluate(expression, arg):
        assert time.monotonic() < last, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(20)


def draw_all(page: Any) -> int:
    """Bring each figure that is not hidden into view, as a reader does, and wait for it; return how many there are.

    A figure that is not drawn within two minutes is an error that names it.
    """
    wait_until_drawn(page)
    return int(
        page.evaluate("""async () => {
            const visible = Array.from(document.querySelectorAll(".plot")).filter((plot) => plot.offsetParent !== null);
            for (const plot of visible) {
                plot.scrollIntoView({ block: "center" });
                const last = performance.now() + 120000;
                while (!plot.querySelector(".plot-container")) {
                    if (performance.now() > last) throw new Error(`${plot.id} is not drawn`);
                    await new Promise((resolve) => setTimeout(resolve, 10));
                }
            }
            scrollTo(0, 0);
            await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
            return visible.length;
        }""")
    )
