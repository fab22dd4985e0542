"""Curvature probes leave the training as it is, and tell the truth about it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.observe.conftest import Comparison
from tests.observe.programs import CASES, Case

Compare = Callable[..., Comparison]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.program.replace(" ", "-")) for case in CASES])
def test_a_probed_training_is_untouched(compare: Compare, case: Case) -> None:
    ran = compare(case.program, curvature=1)
    assert ran.recorded.stdout == ran.plain.stdout
    assert re.sub(r"\S*/", "", ran.recorded.stderr) == re.sub(r"\S*/", "", ran.plain.stderr)
    assert ran.recorded.status == ran.plain.status
    run = ran.run
    assert not [gap for gap in run.gaps if gap.reason.startswith("a fault of bnprobe")]
