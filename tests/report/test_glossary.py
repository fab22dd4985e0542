"""The words that the page explains."""

from __future__ import annotations

import pytest

from bnprobe.report.glossary import _ALIASES, TERMS, explained


@pytest.mark.parametrize("heading", _ALIASES)
def test_a_heading_with_a_term_says_what_it_means(heading: str) -> None:
    for term in _ALIASES[heading]:
        assert TERMS[term] in explained(heading).unescape()


def test_an_everyday_heading_is_left_alone_and_no_heading_is_markup() -> None:
    assert explained("Kind") == "Kind"
    assert "<b>" not in explained("<b>")


@pytest.mark.parametrize("term", "decade energy rms baseline sharpness snapshot msr κ κₛ".split())
def test_what_the_page_says_without_a_word_of_its_own_is_a_term(term: str) -> None:
    assert any(term in known.replace(",", " ").split() or known == term for known in TERMS)
