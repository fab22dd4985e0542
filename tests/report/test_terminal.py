from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.report.terminal import WIDTH, summary
from bnprobe.store.reader import Event, Gap, read_run
from bnprobe.store.writer import RunWriter
from tests.synthetic_runs import BUILDERS, residual_recording

RunFile = Callable[[str], Path]

EXPECTED = """\
file        {path} ({size} KiB, {share} a step and layer)
script      python train.py, 2026-01-02T03:04:05+00:00, torch 2.6.0 on cpu
ended       The recording was ended on request (--max-steps 4).
steps       4 steps, 0 to 3; layers measured at 2; 2 snapshots of 1,450 channels; 0.02 s a step, 5.0% of it the recorder's
loss        {loss}
layers      40: 19 convolution, 19 activation, 1 pooling, 1 linear
parameters  20 with 100,512 elements; SGD 0.0
not seen    dropout masks: drawn inside a fused kernel (3 times)
noticed     step 2, schedule: layers are measured every 2 steps

next: bnprobe report {path}"""


def words(text: str) -> list[str]:
    return text.split()


def test_a_summary_says_everything_in_order(tmp_path: Path) -> None:
    made = residual_recording(steps=4)
    made.observed[1::2] = False
    made.snapshots = [0, 2]
    made.status = "stopped"
    made.events.append((2, "schedule", "layers are measured every 2 steps"))
    made.attributes |= {"command": "python train.py", "created": "2026-01-02T03:04:05+00:00", "torch_version": "2.6.0", "device": "cpu"}
    made.attributes["ending"] = "--max-steps 4"
    made.loss[:] = [2.5, 2.25, 2.0, 1.75]
    path = made.write(tmp_path / "run.h5")
    size = path.stat().st_size
    share = f"{size / 160 / 1024:.1f} KiB"
    expected = EXPECTED.format(
        path=path, size=round(size / 1024), share=share, loss="2.5 → 1.75 (medians of the first 1 and the last 1 that were finite)"
    )
    assert words(summary(read_run(path))) == words(expected)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_run_has_a_summary_of_plain_text(run_file: RunFile, name: str) -> None:
    text = summary(read_run(run_file(name)))
    assert "\x1b" not in text
    assert text.splitlines()[-1] == f"next: bnprobe report {run_file(name)}"
    prose = [line for line in text.splitlines() if str(run_file(name)) not in line]
    assert all(len(line) <= WIDTH for line in prose)


def test_a_killed_run_and_one_without_steps_say_so(run_file: RunFile) -> None:
    assert "most likely killed" in " ".join(words(summary(read_run(run_file("killed")))))
    assert "none: the script took no optimizer step" in summary(read_run(run_file("zero_steps")))


def test_a_diverged_run_ends_where_it_diverged_and_not_at_the_last_finite_loss(run_file: RunFile) -> None:
    (line,) = (line for line in summary(read_run(run_file("exploding"))).splitlines() if line.startswith("loss "))
    assert "the training diverged at step 15" in line
    assert "last" not in line


def test_the_next_command_can_be_pasted(tmp_path: Path) -> None:
    path = residual_recording(steps=2).write(tmp_path / "my run's file.h5")
    command = summary(read_run(path)).splitlines()[-1]
    assert command.endswith("""'"'"'s file.h5'""")


def test_control_characters_from_the_file_do_not_reach_the_terminal(run_file: RunFile) -> None:
    run = read_run(run_file("healthy"))
    run.gaps.append(Gap("\x1b[2Jlayer", "\x07because", 1))
    run.events.append(Event(0, "clock", "bell\r\x9b"))
    text = summary(run)
    assert not any(character in text for character in "\x1b\x07\r\x9b")
    assert "[2Jlayer: because" in text


def test_long_lists_are_cut_and_counted(run_file: RunFile) -> None:
    run = read_run(run_file("exploding"))
    run.gaps.extend(Gap(f"layer{i}", "fused", 1) for i in range(30))
    assert "and 23 more" in summary(run)


def test_line_probes_are_counted_and_the_worst_one_is_told(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.h5", {})
    for step, low, high in ((0, 4.0, 8.0), (10, 64.0, math.inf), (20, 1.0, 2.0)):
        limits = {"probe_critical_low": low, "probe_critical_high": high, "probe_learning_rate": 0.5, "probe_step": step}
        writer.add_probe((), probe_variant="taken", **limits)
    writer.add_probe((), probe_variant="msr", **{**limits, "probe_critical_low": 0.0, "probe_critical_high": 0.25})
    writer.add_probe((), probe_variant="taken", probe_step=30, probe_reason="the optimizer steps inside backward")
    writer.close(status="finished")
    text = " ".join(words(summary(read_run(tmp_path / "run.h5"))))
    assert "line probes at 4 steps, 1 without a number; at step 20 the learning rate, 0.5, was 0.5 to 1 times what the loss" in text
    assert "along the step taken; with msr's projection it would have been more than 4 times" in text
