from __future__ import annotations

import pytest

from bnprobe.experiments.comparison.techniques import change_of
from bnprobe.experiments.counterfactuals import counterfactual
from bnprobe.experiments.order import Change


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ("NONE", Change((), (), 0.5, 3)),
        ("layer-norm", Change((), ("layer-norm",), 0.5, 3)),  # also where a network normalises already
        ("layer-norm+clip-norm", Change(("clip-norm",), ("layer-norm",), 0.5, 3)),
        ("layer-norm:affine=yes", Change(("layer-norm:affine=yes",), (), 0.5, 3)),
        ("group-norm", Change(("group-norm",), (), 0.5, 3)),
    ],
)
def test_what_a_technique_changes(technique: str, expected: Change) -> None:
    assert change_of(technique, 0.5, 3) == expected


@pytest.mark.parametrize("name", ["layer-norm", "group-norm", "warm-up"])
def test_the_trial_of_a_cause_makes_the_intervention_of_that_name(name: str) -> None:
    assert counterfactual(name).change.interventions == (name,)
    assert counterfactual(name).change.remedies == ()
