"""Targets and labels of a loss against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments import targets
from bnprobe.observe.instruments.graph import saved
from bnprobe.observe.instruments.targets import classes, compared
from bnprobe.torch_private import TELLS_OF_SAVED_HOOKS


def test_a_constant_prediction_scores_the_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    target, output = torch.randn(50, 3, generator=generator), torch.randn(50, 3, generator=generator)
    found = {name: float(value) for name, value in compared(output, target).items()}
    assert found["target_variance"] == pytest.approx(float(target.double().var(0).mean()))
    assert found["output_variance"] == pytest.approx(float(output.double().var(0).mean()))
    assert found["prediction_error"] == pytest.approx(float(F.mse_loss(output, target)), rel=1e-6)
    assert found["target_rms"] == pytest.approx(float(target.square().mean().sqrt()), rel=1e-6)


def test_nothing_is_said_of_one_sample_or_of_a_target_spread_over_samples() -> None:
    assert not compared(torch.zeros(1, 3), torch.zeros(1, 3))
    assert not compared(torch.zeros(4, 4), torch.arange(4.0).expand(4, 4))
    assert not compared(torch.zeros(4, 4), None)


def test_labels_are_counted_without_those_to_be_ignored() -> None:
    found = {name: float(value) for name, value in classes(torch.tensor([[3, 3, 1], [-100, 3, 1]]), 2**64 - 100).items()}
    assert found["target_labels"] == 5
    assert found["target_classes"] == pytest.approx(2)
    assert found["target_class"] == 3
    assert found["target_entropy"] == pytest.approx(-0.6 * math.log(0.6) - 0.4 * math.log(0.4))
    assert float(classes(torch.full((4,), -100), -100)["target_labels"]) == 0


@pytest.mark.parametrize("ignored", [-100, 2**64 - 100, 3, None])
@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.bool], ids=str)
def test_labels_on_the_host_and_elsewhere_are_counted_alike(kind, ignored, monkeypatch) -> None:
    labels = torch.randint(0, 7, (40, 3), generator=torch.Generator().manual_seed(1)).to(kind)
    here = classes(labels, ignored)
    monkeypatch.setattr(targets, "class_counts", lambda *_: None)
    monkeypatch.setattr(targets, "_classes_at_hand", lambda *_: {})
    elsewhere = classes(labels, ignored)
    assert here.keys() == elsewhere.keys()
    for name, value in elsewhere.items():
        assert float(here[name]) == pytest.approx(float(value), rel=1e-12), name


@pytest.mark.skipif(not TELLS_OF_SAVED_HOOKS, reason="this torch does not give what a graph keeps")
def test_what_the_script_packs_away_is_not_unpacked() -> None:
    output = torch.zeros(4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda packed: pytest.fail("unpacked")):
        packed = F.mse_loss(output, torch.ones(4))
    assert saved(packed.grad_fn, "target") is None
    assert saved(F.mse_loss(output, torch.ones(4)).grad_fn, "target") is not None


def test_a_shared_graph_is_gone_through_once() -> None:
    signal = torch.zeros(2, requires_grad=True) * 1
    for _ in range(40):
        signal = signal + signal
    assert sum(1 for _ in nodes(signal.sum())) == 43


@pytest.mark.parametrize("labels", [[3, 1, 3, 1, 0], [5], [-1, 2, 2], [70000, 1], [7, 7, -100, -100, -100]], ids=str)
@pytest.mark.parametrize("ignored", [None, -100, 7])
def test_compiled_counts_of_classes_are_those_of_numpy(labels: list[int], ignored: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    given = torch.tensor(labels)
    found = classes(given, ignored)
    monkeypatch.setattr(targets, "class_counts", lambda *_: None)
    assert found == classes(given, ignored)
