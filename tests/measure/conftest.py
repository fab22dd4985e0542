"""The two ways to measure: by the compiled code and by torch."""

from __future__ import annotations

import pytest

from bnprobe.measure import fused


@pytest.fixture(params=["compiled", "torch"])
def path(request, monkeypatch):
    """Measure by the compiled code, where there is any, and by torch."""
    if request.param == "compiled" and not fused.available():
        pytest.skip("built without a C compiler")
    if request.param == "torch":
        monkeypatch.setattr(fused, "available", lambda: False)
    return request.param
