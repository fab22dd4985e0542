"""A closure that is watched looks like the one that the script made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from bnprobe.remedies.closures import around_closure, closure_of, with_closure


class Loss:
    tag = "mine"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, backward: bool = True) -> float:
        self.calls += 1
        return float(backward)

    def method(self, backward: bool = True) -> float:
        return self(backward)


def function(backward: bool = True) -> float:
    return float(backward)


def noting(seen: list[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            seen.append("run")
            return body(*args, **kwargs)

        return run

    return wrap


@pytest.mark.parametrize("closure", [function, functools.partial(function, backward=True), Loss().method, Loss()])
def test_it_is_of_the_same_kind(closure: Callable[..., float]) -> None:
    seen: list[str] = []
    watched = around_closure(noting(seen), closure)
    assert isinstance(watched, type(closure))
    assert watched() == 1.0
    assert watched(backward=False) == 0.0
    assert seen == ["run", "run"]
    if not isinstance(closure, Loss):
        assert inspect.signature(watched) == inspect.signature(closure)


def test_attributes_of_an_object_are_its_own() -> None:
    closure = Loss()
    watched: Any = around_closure(noting([]), closure)
    watched()
    watched.calls += 1
    assert (watched.tag, closure.calls) == ("mine", 2)


@pytest.mark.parametrize("argument", [torch.tensor(1.0), 0.5, None, nn.Linear(1, 1), Loss])
def test_something_else_is_no_closure(argument: Any) -> None:
    assert closure_of(("optimizer", argument), {}) is None


def test_it_is_put_where_it_was() -> None:
    assert with_closure(("optimizer", function, 3), {}, print) == (("optimizer", print, 3), {})
    assert with_closure(("optimizer",), {"closure": function, "rate": 1}, print) == (("optimizer",), {"closure": print, "rate": 1})
