"""What the page weighs and how long it takes, beside its aims: made, drawn in a browser, and moved through.

    python -m tests.benchmarks.page [--runs N] [NAME ...]

Needs Chromium and the extra ``browser``. Runs are synthetic. "Made" is processor time of reading, diagnosis and writing. "Ready" is the
processor time of all of Chromium's processes from the opening of the page until the figures in and near the window are drawn, which is what
the wall clock shows on one free core at most; "all drawn", until a reader has scrolled through the page and every figure is drawn. "Cursor"
is the time of one move of the step, a median of thirty. Of several runs the least counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bnprobe.report.page import write_page
from bnprobe.report.plotly_bundle import plotly_js
from tests.report.browsing import chromium, draw_all, wait_until_drawn
from tests.synthetic_runs import Recording, residual_recording

MOVES = 30
SPIKE = 1234.5


@dataclass(frozen=True)
class Case:
    """A run, and what its page may take at most: seconds made, ready and drawn, milliseconds a move, megabytes; None without an aim."""

    name: str
    make: Callable[[], Recording]
    made: float | None
    ready: float | None
    drawn: float | None
    cursor: float | None
    size: float | None


def recording(layers: int, steps: int) -> Recording:
    """A run of about that many layers whose loss has one step of another size."""
    made = residual_recording(steps=steps, blocks=max(1, round((layers - 2) / 12)))
    made.snapshots = made.snapshots[-10:]
    made.loss[steps // 3] = SPIKE
    made.activation.rms[steps // 3, 1] = SPIKE
    return made


CASES = (
    Case("10 layers", lambda: recording(10, 400), None, None, 1.5, 50.0, None),
    Case("500 layers", lambda: recording(500, 2500), None, None, 3.0, 50.0, None),
    Case("20,000 steps", lambda: recording(200, 20_000), 5.0, 5.0, None, 50.0, 12.0),
)


def seconds_of(process: psutil.Process) -> float:
    """Processor time of all processes that a process has started and that live."""
    total = 0.0
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def look(page_file: Path) -> tuple[float, float, int, float]:
    """Open a page. Returns: seconds until it is ready and until all is drawn, figures, milliseconds of a move."""
    me = psutil.Process()
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto("about:blank")
        time.sleep(1.0)  # until the browser itself has started
        before = seconds_of(me)
        page.goto(page_file.as_uri(), wait_until="commit")
        wait_until_drawn(page)
        ready = seconds_of(me) - before
        figures = draw_all(page)
        return ready, seconds_of(me) - before, figures, statistics.median(moves(page))


def moves(page: Any) -> list[float]:
    """Move the step, its figures in view, and return the milliseconds of the page's own thread until it has drawn each."""
    page.evaluate("document.querySelector('.slider').scrollIntoView()")
    page.wait_for_timeout(1000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    took = []
    for move in range(MOVES):
        before = busy()
        page.evaluate(
            """(move) => new Promise((done) => {
                const input = document.querySelector(".slider input");
                input.value = Math.round(((move * 7) % 30) / 30 * Number(input.max));
                input.dispatchEvent(new Event("input"));
                requestAnimationFrame(() => requestAnimationFrame(done));
            })""",
            move,
        )
        took.append(1000.0 * (busy() - before))
    return took


def keeps_spike(page_file: Path, step: int) -> bool:
    """Whether the one step of another size is drawn at its step with its value: in the loss, and in the map of activations."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(page_file.as_uri(), wait_until="commit")
        draw_all(page)
        seen = page.evaluate(
            """(step) => {
                const loss = document.getElementById("loss-0").calcdata[0].find(({ x }) => x === step);
                const { z, text } = document.getElementById("map-activation-rms-0").data[0];
                const column = Array.from(text[1]).indexOf(step);
                return [loss?.y, 10 ** z[1][column]];
            }""",
            step,
        )
    return all(value is not None and abs(value / SPIKE - 1) < 0.02 for value in seen)


def beside(value: float, aim: float | None, form: str) -> str:
    words = form.format(value)
    return words if aim is None else f"{words} ({'aim' if value <= aim else 'MISSES'} {aim:g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(repr(case.name) for case in CASES)} (default: all)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="times that each page is made and opened (default: 3)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the recordings, and use those that are there")
    options = parser.parse_args()
    print(f"plotly's part of each page: {len(plotly_js()) / 1e6:.2f} MB\n")
    print(f"| run | layers x steps | page, MB | made, s | ready, s | all drawn, s | figures | cursor, ms | spike |\n{'|---' * 9}|")
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            if options.name and case.name not in options.name:
                continue
            folder = options.keep or Path(scratch)
            file, page = folder / f"{case.name.replace(' ', '-')}.h5", Path(scratch) / "page.html"
            if not file.exists():
                case.make().write(file)
            made, looks = [], []
            for _ in range(options.runs):
                began = time.process_time()
                [run] = write_page([file], page)
                made.append(time.process_time() - began)
                looks.append(look(page))
            step = int(run["step"][run.steps // 3])
            cells = [
                case.name,
                f"{len(run.layers)} x {run.steps:,}",
                beside(page.stat().st_size / 1e6, case.size, "{:.2f}"),
                beside(min(made), case.made, "{:.1f}"),
                beside(min(one[0] for one in looks), case.ready, "{:.2f}"),
                beside(min(one[1] for one in looks), case.drawn, "{:.2f}"),
                str(looks[0][2]),
                beside(min(one[3] for one in looks), case.cursor, "{:.0f}"),
                "kept" if keeps_spike(page, step) else "LOST",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
