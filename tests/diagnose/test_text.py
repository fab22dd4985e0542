from __future__ import annotations

from pathlib import Path

from bnprobe.diagnose import Diagnosis, diagnose
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.outcome import Outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.text import printable, to_text
from bnprobe.store.reader import read_run
from tests.synthetic_runs import exploding, residual_recording


def test_a_finding_as_text() -> None:
    finding = Finding(
        "mean-shift",
        "error",
        0.75,
        ("a", "b"),
        3,
        (Evidence("kappa", 0.98, 0.95, "", 4), Evidence("shift", float("inf"), None, "standard deviations")),
        "It shifted.",
        "Shift it back.",
        "",
        ("exploding-activations",),
    )
    text = to_text(Diagnosis(RunAnalysis(residual_recording(steps=5).run()), Outcome("unclear", "too short", None), (finding,)))
    assert text == "\n".join(
        [
            "outcome: unclear: too short.",
            "",
            "error: mean-shift in a and b at step 3 (confidence 0.75, follows from exploding-activations)",
            "  It shifted.",
            "  To do: Shift it back.",
            "    kappa: 0.98 at step 4 (threshold 0.95)",
            "    shift: infinite standard deviations",
        ]
    )


def test_nothing_steers_the_terminal(tmp_path: Path) -> None:
    run = read_run(exploding(tmp_path / "run.h5"))
    run.layers[:] = [layer._replace(name=f"\x1b[31m{layer.name}\r\u202e") for layer in run.layers]
    text = to_text(diagnose(run))
    assert "\\x1b[31m" in text
    assert not set(text) & {"\x1b", "\r", "\u202e"}
    assert printable("layer 層 é") == "layer 層 é"
