"""Every row speaks of a network that was built to have its drawback, and is silent about a twin that has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose.audit import ROWS, AuditRow, audit
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.report.audit_text import to_text
from bnprobe.store.reader import Run
from tests.synthetic_runs import residual_recording

Audited = Callable[[str], dict[str, AuditRow]]


#: A row, a network that has its drawback, and one that has not; those of several ranks are at the end of this file.
PAIRS = (
    pytest.param("few-values", "small-batch", "batch-norm", marks=pytest.mark.slow),
    pytest.param("stale-statistics", "stale", "batch-norm", marks=pytest.mark.slow),
    pytest.param("unlike-batches", "one-class-batches", "batch-norm", marks=pytest.mark.slow),
    pytest.param("reused", "reused", "own-norms", marks=pytest.mark.slow),
    pytest.param("dropout-before", "dropout-before", "dropout-behind", marks=pytest.mark.slow),
    pytest.param("train-eval-gap", "stale", "batch-norm", marks=pytest.mark.slow),
    pytest.param("train-eval-gap", "stale-large-outputs", "large-outputs", marks=pytest.mark.slow),
    pytest.param("coupling", "small-batch", "batch-norm"),
    pytest.param("coupling", "small-batch", "small-batch-group-norm", marks=pytest.mark.slow),
    pytest.param("few-values", "group-of-one", "layer-norm", marks=pytest.mark.slow),
    pytest.param("dropout-before", "functional-dropout", "batch-norm", marks=pytest.mark.slow),
    pytest.param("decay-on-scale-free", "decayed", "batch-norm", marks=pytest.mark.slow),
    pytest.param("gradient-growth", "deep-plain", "shallow", marks=pytest.mark.slow),
    pytest.param("cost", "norm-upon-norm", "wide", marks=pytest.mark.slow),
    pytest.param("idle", "idle", "decayed", marks=pytest.mark.slow),
)


@pytest.mark.parametrize(("row", "kind", "twin"), PAIRS)
def test_a_row_and_its_twin(audited: Audited, row: str, kind: str, twin: str) -> None:
    found, spared = audited(kind)[row], audited(twin)[row]
    assert found.verdict == ("could go" if row == "idle" else "costs")
    assert found.advice
    assert any(layer.costs for layer in found.layers) or row in ("gradient-growth", "cost")  # of the network
    assert spared.verdict in ("fine", "absent")
    assert not any(layer.costs for layer in spared.layers)


def test_a_sound_batch_norm_costs_nothing_that_it_need_not(audited: Audited) -> None:
    rows = audited("batch-norm").values()
    assert [row.id for row in rows if row.verdict == "costs" and row.id != "cost"] == []  # time is the machine's


@pytest.mark.slow
def test_a_drawback_is_told_in_its_own_row(audited: Audited) -> None:
    """Batches of one class are far from the running statistics: that is no fault of those."""
    assert audited("one-class-batches")["stale-statistics"].verdict != "costs"


@pytest.mark.slow
def test_an_adaptive_optimizer_divides_the_decay(audited: Audited) -> None:
    assert audited("decayed-adam")["decay-on-scale-free"].verdict == "cannot tell"


@pytest.mark.slow
def test_a_layer_norm_has_the_rows_that_apply(audited: Audited) -> None:
    verdicts = {row.id: row.verdict for row in audited("layer-norm").values()}
    for one in ("stale-statistics", "unlike-batches", "ranks", "reused", "dropout-before"):
        assert verdicts[one] == "absent"
    assert verdicts["decay-on-scale-free"] == "fine"


@pytest.mark.slow
def test_nothing_to_audit(audited: Audited) -> None:
    assert audited("none") == {}


def test_nothing_to_audit_is_said(network: Callable[[str], Run]) -> None:
    assert "nothing to audit" in to_text(RunAnalysis(network("none")).recorded, ())


@pytest.mark.parametrize("kind", ["activating", pytest.param("dropping-activating", marks=pytest.mark.slow)])
def test_a_norm_that_holds_its_activation_is_audited_as_one_that_does_not(
    network: Callable[[str], Run], audited: Audited, kind: str
) -> None:
    """The network is the same: a batch norm, and ReLU behind it."""
    run, whole, apart = RunAnalysis(network(kind)).recorded, audited(kind), audited("batch-norm")
    assert [run.layers[norm.layer].name for norm in norms(run)] == ["1"]
    timed = ("cost",)  # time is the machine's
    assert {id: row.verdict for id, row in whole.items() if id not in timed} == {
        id: row.verdict for id, row in apart.items() if id not in timed
    }
    for id in ("few-values", "coupling", "train-eval-gap", "stale-statistics", "decay-on-scale-free", "idle"):
        assert whole[id].value == pytest.approx(apart[id].value, rel=1e-3)
        assert {layer.layer for layer in whole[id].layers} == {layer.layer for layer in apart[id].layers}
    assert [layer.layer for layer in whole["cost"].layers] == ["1"]


@pytest.mark.slow
def test_the_effective_rate_is_that_of_its_definition(network: Callable[[str], Run], audited: Audited) -> None:
    run, row = network("decayed"), audited("decayed")["decay-on-scale-free"]
    alone = np.exp(2 * np.sum(run["learning_rate"][:, 0] * run["weight_decay"][:, 0] / (1 - run["momentum"][:, 0].astype(float))))
    assert [layer.layer for layer in row.layers] == ["0.weight"]
    assert row.value == pytest.approx(alone)


def rank(kind: str, size: int, shift: float = 0.0) -> Run:
    """One rank of a residual network with norms of a kind, whose means are shifted by some deviations."""
    made = residual_recording(steps=10, norm=True)
    made.attributes["world_size"] = str(size)
    for layer in made.layers:
        if layer["layer_kind"] == "normalisation":
            layer["layer_type"] = kind
    run = made.run()
    run.variables["channel_mean"] = run["channel_mean"] + shift * np.sqrt(run["channel_variance"])
    return run


@pytest.mark.parametrize(
    ("size", "kind", "verdict"), [(4, "BatchNorm2d", "cannot tell"), (4, "SyncBatchNorm", "fine"), (1, "BatchNorm2d", "absent")]
)
def test_one_file_of_several_ranks(size: int, kind: str, verdict: str) -> None:
    rows = {row.id: row for row in audit(RunAnalysis(rank(kind, size)))}
    assert rows["ranks"].verdict == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(1.0, "costs"), (0.1, "fine")])
def test_the_spread_between_two_ranks(shift: float, verdict: str) -> None:
    rows = {row.id: row for row in audit(RunAnalysis(rank("BatchNorm2d", 2)), [rank("BatchNorm2d", 2, shift)])}
    assert rows["ranks"].verdict == verdict
    assert rows["ranks"].value == pytest.approx(shift / np.sqrt(2), rel=1e-3)


@pytest.mark.slow
def test_nothing_is_said_of_what_was_not_measured(network: Callable[[str], Run]) -> None:
    whole = network("batch-norm")
    run = replace(
        whole,
        variables={name: values for name, values in whole.variables.items() if not name.startswith("audit")},
        lengths={**whole.lengths, "audit": 0},
    )
    verdicts = {row.id: row.verdict for row in audit(RunAnalysis(run))}
    assert {verdicts[one] for one in ("train-eval-gap", "coupling", "cost")} == {"cannot tell"}


@pytest.mark.slow
@pytest.mark.parametrize(("share", "verdict"), [(0.3, "costs"), (0.1, "fine")])
def test_time(network: Callable[[str], Run], share: float, verdict: str) -> None:
    run = network("batch-norm")
    measured = run["audit_time"]
    run.variables["audit_time"] = np.where(np.isfinite(measured), share, np.nan)
    (row,) = (row for row in audit(RunAnalysis(run)) if row.id == "cost")
    run.variables["audit_time"] = measured
    assert (row.verdict, row.value) == (verdict, pytest.approx(share))


@pytest.mark.slow
@pytest.mark.parametrize(("learned", "micro_steps", "verdict"), [(0.1, 1, "fine"), (0.8, 1, "costs"), (0.8, 4, "costs")])
def test_what_was_learned_and_is_taken_back(network: Callable[[str], Run], learned: float, micro_steps: int, verdict: str) -> None:
    """A fine-tuning that brings little has little to lose; of a step with several backwards the audit sees the loss of one."""
    whole = network("large-outputs")
    loss = np.linspace(2.0, 2.0 * (1.0 - learned), len(whole["loss"]))
    at = loss[np.isin(whole["step"], whole["audit"])] / micro_steps
    changed = {"loss": loss, "every_loss": loss, "audit_loss": at, "audit_loss_running": at + 0.4 * 2.0 * learned / micro_steps}
    run = replace(whole, variables={**whole.variables, **{name: one for name, one in changed.items() if name in whole.variables}})
    (row,) = (row for row in audit(RunAnalysis(run)) if row.id == "train-eval-gap")
    assert row.verdict == verdict


def test_ids_differ(audited: Audited) -> None:
    assert len(audited("batch-norm")) == len(ROWS)


def test_every_row_has_a_network_and_a_twin(audited: Audited) -> None:
    assert {str(pair.values[0]) for pair in PAIRS} | {"ranks"} == set(audited("batch-norm"))
