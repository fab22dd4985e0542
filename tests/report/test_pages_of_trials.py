"""The pages about trials in a browser: every figure is drawn."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bnprobe.report.comparison_page import render_comparison
from bnprobe.report.limits_page import render_limits
from tests.comparison_trials import comparison
from tests.report.browsing import LACKING, SKIPS
from tests.report.test_browser import browser, document, drawn, places
from tests.report.test_limits_page import limits

__all__ = ["browser", "document"]
pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.skipif(SKIPS, reason=LACKING)]


@pytest.mark.parametrize("page", [lambda: render_comparison(comparison()), lambda: render_limits(limits())], ids=["compare", "lr-limit"])
def test_every_figure_of_a_page_about_trials_is_drawn(page: Callable[[], str], document: Callable[[str], str]) -> None:
    text = page()
    assert drawn(document(text)) == places(text) > 2
