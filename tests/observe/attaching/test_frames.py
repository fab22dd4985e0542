"""A function in the place of another is not counted by warnings, and is otherwise as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from bnprobe.observe.attaching.frames import uncounted


def _between(function: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        function()

    return call


def _warn() -> None:
    warnings.warn("said of the caller", stacklevel=2)


def test_a_warning_about_the_caller_passes_over_it() -> None:
    places = []
    for function in (_warn, uncounted(_between(_warn)), _between(_warn)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function()
        places.append((caught[0].filename, caught[0].lineno))
    assert places[0] == places[1]
    assert places[0] != places[2]


def test_it_goes_by_its_own_name_in_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        uncounted(_between(lambda: print(1 / 0)))()
    assert [entry.name for entry in caught.traceback][1] == "call"


def test_what_is_no_function_of_python_is_left_alone() -> None:
    assert uncounted(len) is len
