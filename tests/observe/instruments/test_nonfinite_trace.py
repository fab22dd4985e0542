"""Places of values that are not finite, born at steps that are not measured, and what else is known of such steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.diagnose import diagnose
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.torch_private import TELLS_OF_SAVED_HOOKS
from tests.observe.conftest import Comparison
from tests.suites import shortened

Compare = Callable[..., Comparison]
AT = 100


@pytest.mark.parametrize(
    ("kind", "layer", "place", "words"),
    shortened(
        [
            ("module", "scale", "scale", "`div`"),
            ("gradient", "second", "second", "most likely at `sqrt`"),
            ("data", "first", "first", "data given to first"),
            ("target", "", "last", "beside the network's output"),
            ("loss", "", "last", "in the loss itself, at its operation `log`, behind last"),
        ],
        1,
    ),
)
@pytest.mark.skipif(not TELLS_OF_SAVED_HOOKS, reason="this torch does not give what a graph keeps")
def test_the_place_is_told_though_its_step_was_not_measured(compare: Compare, kind: str, layer: str, place: str, words: str) -> None:
    ran = compare(f"born_unseen {kind}", budget=0.0, free_seconds=0.0)
    run = ran.run
    assert not run["layers_observed"][AT]
    trace = json.loads(str(run.attributes["nonfinite_origin"]))
    assert (trace["step"], trace["layer"]) == (AT, layer)
    finding = next(iter(diagnose(run)))
    assert (finding.id, finding.step, finding.layers) == ("numerical-fault", AT, (place,))
    assert words in finding.cause


def test_modes_rows_and_norms_are_known_of_steps_that_are_not_measured(compare: Compare) -> None:
    run = compare("born_unseen mode", budget=0.0, free_seconds=0.0).run
    unmeasured = run["layers_observed"] == 0
    assert unmeasured[11 : AT - 5].all()
    assert run["modules_training"].tolist() == [1] * (AT - 5) + [0] * 11
    assert run["modules_evaluating"].tolist() == [0] * (AT - 5) + [1] * 11
    assert run["model_training"].tolist() == [1] * (AT - 5) + [0] * 11
    assert run["loss_rows"].tolist() == [16] * (AT + 6)
    known = np.isfinite(run["gradient_norm"])
    assert known[:15].all()
    measured = np.sqrt(np.nansum(run["parameter_gradient_norm"] ** 2, axis=1))
    np.testing.assert_allclose(run["gradient_norm"][:10], measured[:10], rtol=1e-6)


def test_a_sparse_gradient_that_is_not_finite_is_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recorder = Recorder(tmp_path / "run.h5", RecordOptions(every=70), {})
    recorder.install()
    embedding, head = nn.Embedding(20, 4, sparse=True), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*embedding.parameters(), *head.parameters()], lr=1e-3)
    kept = [parameter.detach().clone() for parameter in (*embedding.parameters(), *head.parameters())]
    for step in range(AT + 100):  # norms are looked at at some of them
        optimizer.zero_grad()
        hidden = embedding(torch.randint(0, 20, (16,)))
        loss = head(hidden).square().mean()
        if step >= AT:  # a slope of infinity, of a loss that is finite
            loss = loss + (hidden - hidden.detach()).square().sum(1).sqrt().sum()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for parameter, value in zip((*embedding.parameters(), *head.parameters()), kept, strict=True):
                parameter.copy_(value)
    recorder.pause()
    recorder.flush()
    with h5py.File(tmp_path / "run.h5") as file:
        trace = json.loads(file.attrs["nonfinite_origin"])
        reasons = [reason.decode() for reason in file["coverage_reason"][()]] if "coverage_reason" in file else []
    recorder.abandon()
    assert trace["step"] >= AT and (trace["kind"], trace["bad"], trace["of"]) == ("gradient", 1, 3)
    assert not any("fault of bnprobe" in reason for reason in reasons)
