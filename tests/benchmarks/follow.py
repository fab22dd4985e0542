"""What it costs a training to be followed live, and how soon the page shows a step.

    python -m tests.benchmarks.follow [--steps N] [--stretch S]

Needs Chromium and the extra ``browser``. The cost is processor time of the recording's own process: one recording, followed by ``report
--follow`` with a browser that shows the page, and both stopped and let go on in turn, so that neighbouring stretches of steps differ by
them alone. What they cost by themselves, at a low priority, is not the training's. Losses have to be those of a recording that nobody
follows, to the last bit. A step's delay is from the moment it ended, by the script's clock, until the figure of the loss in the browser
shows it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests.report.browsing import chromium

SCRIPT = """
import os, sys, time
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
steps, pause, log = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
model = torch.nn.Sequential(*[part for i in range(12) for part in (torch.nn.Linear(256, 256), torch.nn.ReLU())], torch.nn.Linear(256, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
inputs = torch.randn(512, 256)
with open(log, "w", buffering=1) as ended:
    for step in range(steps):
        optimizer.zero_grad()
        loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        ended.write(f"{step} {time.time()} {time.process_time()}\\n")
        time.sleep(pause)
print(loss.item().hex())
"""
AIM_COST, AIM_DELAY = 0.01, 2.0
#: Runs in the page: writes down the last step that the figure of the loss shows, and when it first did. The notes outlive a reload.
NOTE_STEPS = """
let last = -1;
setInterval(() => {
    const step = document.getElementById("loss-0")?.calcdata?.[0].at(-1)?.x;
    if (step === undefined || step <= last) return;
    last = step;
    const notes = JSON.parse(sessionStorage.shown ?? "[]");
    sessionStorage.shown = JSON.stringify([...notes, [step, Date.now() / 1000]]);
}, 20);
"""


@dataclass
class Recording:
    """A recording that has ended: when each step did, the processor time until then, the last loss, when a page first showed what.

    Attributes:
        ended: the clock at the end of each step.
        spent: processor time of the process until then.
        loss: the last one, as a hexadecimal number.
        shown: the clock when the browser first showed a step, by step.
        stopped: the stretches of the clock in which the page was neither made nor shown.
    """

    ended: np.ndarray
    spent: np.ndarray
    loss: str
    shown: dict[int, float]
    stopped: list[tuple[float, float]]


def record(folder: Path, steps: int, pause: float, *, follow: bool, in_turn: float = 0.0) -> Recording:
    """Record the script; with ``in_turn``, the follower is stopped for so many seconds, and goes on for as many."""
    (folder / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "--force", "-o", "run.h5", "train.py", str(steps), str(pause), "ended.txt"]
    shown: dict[int, float] = {}
    stopped: list[tuple[float, float]] = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as recording:
        if follow:
            while not (folder / "ended.txt").exists():
                time.sleep(0.05)
            followed(folder, recording, shown, stopped, in_turn)
        loss = recording.communicate()[0].strip()
    if recording.returncode:
        raise SystemExit(f"the recording ended with {recording.returncode}")
    table = np.loadtxt(folder / "ended.txt")
    (folder / "ended.txt").unlink()
    return Recording(table[:, 1], table[:, 2], loss, shown, stopped)


def followed(
    folder: Path, recording: subprocess.Popen, shown: dict[int, float], stopped: list[tuple[float, float]], in_turn: float
) -> None:
    """Follow a recording in a browser until it ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "bnprobe", "report", "--follow", "run.h5"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as page:
        assert page.stdout
        found = re.search(r"http://\S+/", page.stdout.readline())
        assert found, "no page is served"
        with chromium() as browser:
            opened = browser.new_page(viewport={"width": 1400, "height": 1000})
            opened.add_init_script(NOTE_STEPS)
            opened.goto(found[0])
            readers = [page.pid, *(child.pid for child in psutil.Process().children(recursive=True) if "chrom" in child.name())]
            while recording.poll() is None:
                opened.wait_for_timeout(1000 * (in_turn or 0.5))
                if not in_turn:
                    continue
                signal_all(readers, signal.SIGSTOP)
                began = time.time()
                time.sleep(in_turn)
                stopped.append((began, time.time()))
                signal_all(readers, signal.SIGCONT)
            opened.wait_for_timeout(1000)
            shown |= {int(step): at for step, at in opened.evaluate("JSON.parse(sessionStorage.shown ?? '[]')")}
        page.stdout.read()


def signal_all(processes: list[int], sent: signal.Signals) -> None:
    """Send a signal to those of the processes that still live."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, sent)


def cost_of(recording: Recording) -> tuple[float, list[float]]:
    """Compare each stretch without the page with those beside it. Returns: milliseconds of a step without, what it adds, as shares."""
    took = np.diff(recording.spent)
    middle = (recording.ended[1:] + recording.ended[:-1]) / 2
    stretches = [took[(middle > began) & (middle < end)] for began, end in recording.stopped]
    between = [(end, later) for (_, end), (later, _) in itertools.pairwise(recording.stopped)]
    beside = [took[(middle > began) & (middle < end)] for began, end in between]
    shares = []
    for place, live in enumerate(beside):
        still = np.concatenate([stretches[place], stretches[place + 1]])
        if len(live) > 5 and len(still) > 5:
            shares.append(float(np.median(live) / np.median(still) - 1))
    return 1000.0 * float(np.median(np.concatenate(stretches))), shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000, metavar="N", help="of the recording whose cost is counted (default: 3000)")
    parser.add_argument("--stretch", type=float, default=2.0, metavar="S", help="seconds with and without the page in turn (default: 2)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        recording = record(folder, options.steps, 0.0, follow=True, in_turn=options.stretch)
        alone = record(folder, options.steps, 0.0, follow=False)
        bare, shares = cost_of(recording)
        low, middle, high = statistics.quantiles(shares, n=4) if len(shares) > 1 else (float("nan"),) * 3
        print(f"a step takes {bare:.2f} ms of processor time")
        spread = f"quartiles {100 * low:+.2f} to {100 * high:+.2f}, {len(shares)} pairs; aim {100 * AIM_COST:g} %"
        print(f"followed it takes {100 * middle:+.2f} % ({spread})")
        print(f"last losses, followed and alone: {'equal to the last bit' if recording.loss == alone.loss else 'DIFFER'}")
        slow = record(folder, 150, 0.1, follow=True)
        first = [next((at for step, at in sorted(slow.shown.items()) if step >= place), None) for place in range(len(slow.ended))]
        delays = [at - ended for at, ended in zip(first, slow.ended, strict=True) if at is not None][20:]
        late = statistics.quantiles(delays, n=20)[-1]
        said = f"median {statistics.median(delays):.2f} s, 19 of 20 within {late:.2f} s (aim {AIM_DELAY:g} s)"
        print(f"from the end of a step until the browser shows it: {said}")


if __name__ == "__main__":
    main()
