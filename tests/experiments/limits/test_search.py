from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.analyse.limits import searches
from bnprobe.store.limits_file import read_limits
from tests.experiments.limits.conftest import QUADRATIC

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
@pytest.mark.parametrize(("momentum", "limit"), [(0.0, 2 / 4), (0.9, (2 + 2 * 0.9) / 4)])
def test_the_limit_of_a_quadratic_lies_in_the_interval(lr_limit: Run, tmp_path: Path, momentum: float, limit: float) -> None:
    (tmp_path / "train.py").write_text(QUADRATIC.replace("MOMENTUM", str(momentum)))
    result = lr_limit("--remedy", "NONE", "--seeds", "1", "--steps", "150", "-o", "limits.h5", "train.py")
    assert result.returncode == 0, result.stderr
    limits = read_limits(tmp_path / "limits.h5")
    (found,) = searches(limits.trials)
    assert found.interval is not None and found.interval.is_closed
    real = found.interval.scaled(limits.own_rate)
    assert real.trains_at < limit < real.fails_at
    assert real.fails_at / real.trains_at <= 1.5
    assert found.trials <= 10
    assert limits.own_rate == pytest.approx(0.03)
    assert "no remedy" in result.stdout
