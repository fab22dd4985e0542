"""Every remedy on every network: it applies and its property holds, or it refuses in a sentence that says what to do."""

from __future__ import annotations

import pytest

from bnprobe.remedies.catalogue import names
from tests.remedies.matrix import judge
from tests.remedies.properties import PROPERTIES
from tests.remedies.trainings import TRAININGS

#: A kind each: weights in groups, copies, several optimizers, a layer that is left, a refusal.
SAMPLE = [
    ("agc", "MLP, AdamW and SGD, groups", "holds"),
    ("weight-norm", "residual CNN, average, clipping", "holds"),
    ("msr-published", "residual CNN, average, clipping", "holds"),
    ("msr", "DCGAN, two optimizers", "holds"),
    ("weight-norm", "LSTM", "holds"),
    ("no-norm", "TransformerEncoder", "holds"),
    ("batch-norm", "TransformerEncoder", "refuses"),
    ("skip-init", "residual MLP, Muon and AdamW", "holds"),
    ("fixup", "residual CNN", "holds"),
    ("deep-norm", "TransformerEncoder, norms behind", "holds"),
    ("qk-norm", "TransformerEncoder", "holds"),
]


@pytest.mark.parametrize(("remedy", "network", "verdict"), SAMPLE)
def test_a_sample(remedy: str, network: str, verdict: str) -> None:
    cell = judge(remedy, network)
    assert cell.verdict == verdict, cell.text


@pytest.mark.slow
@pytest.mark.parametrize("network", TRAININGS)
@pytest.mark.parametrize("remedy", PROPERTIES)
def test_it_holds_or_it_refuses(remedy: str, network: str) -> None:
    cell = judge(remedy, network)
    assert cell.verdict != "wrong", cell.text


def test_every_remedy_has_its_property() -> None:
    assert set(PROPERTIES) == set(names())


@pytest.mark.slow
@pytest.mark.parametrize("remedy", PROPERTIES)
def test_without_the_remedy_its_property_does_not_hold(remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property that holds of any network would measure nothing."""
    monkeypatch.setattr("tests.remedies.matrix.RemedyInjector.attach", lambda self: None)
    of_attention = remedy in ("no-norm", "deep-norm", "qk-norm")
    networks = ["TransformerEncoder, norms behind"] if of_attention else ["residual CNN", "MLP, AdamW and SGD, groups"]
    assert any(judge(remedy, network).verdict == "wrong" for network in networks)
