"""A signal while a training is trained again: the answers are left out, the file is closed, and the process ends as it would have."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bnprobe.store.reader import read_run
from bnprobe.what_if import answers
from bnprobe.what_if.interruption import Interrupted, interruptible
from bnprobe.what_if.questions import Questions
from tests.what_if.conftest import Training


def test_a_signal_ends_what_runs_inside_and_goes_on_to_its_handler() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("it went on")
        assert told == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert told == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_has_no_signals() -> None:
    ran: list[bool] = []

    def run() -> None:
        with interruptible():
            ran.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]


def test_what_was_answered_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(questions: Questions, remedy: str) -> None:
        trial: Any = SimpleNamespace(remedy=remedy)
        questions.trials.append(trial)
        if remedy == "agc":
            raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(Questions, "limit", limit)
    monkeypatch.setattr(answers.Answering, "prove", lambda answering: True)
    monkeypatch.setattr(answers, "Rerun", lambda program, room: None)
    said: list[str] = []
    nothing: Any = None
    program: Any = SimpleNamespace(steps=24, own_rate=0.1, own_rates=(0.1, 0.1))
    layers: Any = SimpleNamespace(names=[])
    edits: Any = SimpleNamespace(parameter_names={})
    found = answers.answer(program, program, nothing, edits, layers, ["none", "msr", "agc", "no-norm"], said.append)
    assert [trial.remedy for trial in found.trials] == ["none", "msr"]
    assert [what for what, _ in found.refused] == ["agc", "no-norm"]
    assert (found.ended_by, len(said)) == ("SIGINT", 3)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_recording_is_closed_without_its_answers(training: Callable[..., Training], number: signal.Signals, status: int) -> None:
    script = training()
    command = [sys.executable, "-m", "bnprobe", "record", "-o", str(script.run_file), "--what-if", "24", str(script.script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr and process.stdout
        for line in process.stderr:
            if "are trained again" in line:
                break
        process.send_signal(number)
        process.stderr.read()
        assert process.stdout.read() == script.plain()
        assert process.wait(60) == status
    run = read_run(script.run_file)
    assert (run.status, run.problems) == ("finished", [])
    refused = json.loads(str(run.attributes["what_if_refused"]))
    assert f"ended by {number.name} before it was answered" in {one["why"] for one in refused}
