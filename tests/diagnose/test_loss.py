from __future__ import annotations

from collections.abc import Callable

import pytest

from bnprobe.diagnose import Finding

Findings = Callable[..., list[Finding]]


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_softmax_before_cross_entropy(findings: Findings, every: int, seed: int) -> None:
    (first, *_) = findings("double-softmax", seed, every=every)
    assert (first.id, first.step, first.layers) == ("double-softmax", 0, ("5",))
    assert "by 5 (Softmax)" in first.cause
    assert "cannot fall below 0.905" in first.cause  # -ln(e / (e + 4))


def test_probabilities_for_a_loss_that_wants_them(findings: Findings) -> None:
    assert [one.id for one in findings("probabilities")] == ["healthy"]
