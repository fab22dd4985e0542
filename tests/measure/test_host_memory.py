"""Tensors whose numbers were looked at can be resized as before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnprobe.measure import fused
from bnprobe.measure.host_memory import copied, looked_at
from bnprobe.measure.layout import Layout
from bnprobe.measure.moments import moments
from bnprobe.observe.compared.samples import fingerprints
from bnprobe.observe.instruments.targets import classes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_measured_signal_can_be_resized(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, is_compiled: bool) -> None:
    if not is_compiled:
        monkeypatch.setattr(fused, "available", lambda: False)
    x = torch.tensor([[0.0, -0.0, 1.0], [-1.0, 0.0, 2.0]], dtype=dtype)
    found = moments(x, Layout(channel=1))
    assert float(found.summary.zeros) == 3.0
    x.untyped_storage().resize_(0)


def test_labels_and_samples_can_be_resized() -> None:
    labels, batch = torch.tensor([0, 1, 1, -100]), torch.randn(4, 3, dtype=torch.float64)
    assert classes(labels, -100)["target_classes"] == 2.0
    assert len(set(fingerprints(batch))) == 4
    labels.resize_(64)
    batch.resize_(64, 3)


def test_what_is_looked_at_is_the_memory_itself_and_stays() -> None:
    x = torch.arange(4.0)
    looked, copy = looked_at(x, "f4"), copied(x)
    x[0] = 7.0
    assert (looked[0], copy[0]) == (7.0, 0.0)
    x.resize_(2)
    del x
    assert looked.tolist() == [7.0, 1.0, 2.0, 3.0]
    assert looked_at(torch.empty(0), "f4").size == 0
    assert copied(torch.ones(2), torch.float64).dtype == np.float64
