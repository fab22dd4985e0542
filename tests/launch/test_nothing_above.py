"""Above a script there is nothing that a warning could be about."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from bnprobe.launch.nothing_above import FRAMES, with_nothing_above


@pytest.mark.parametrize("level", [1, 2, FRAMES + 1])
def test_a_warning_about_the_caller_of_a_script_names_what_python_names(level: int) -> None:
    given: list[Any] = []

    def script() -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("of nobody", UserWarning, stacklevel=10**6)
            warnings.warn("of the caller", UserWarning, stacklevel=level)
        given.extend((warning.filename, warning.lineno) for warning in caught)

    with_nothing_above(script)
    of_nobody, of_the_caller = given
    assert (of_the_caller == of_nobody) == (level > 1)
