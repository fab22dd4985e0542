"""Whoever looks at module calls is told of all of them, and nobody sees that he does."""

from __future__ import annotations

import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from bnprobe.observe.attaching import module_calls
from bnprobe.observe.attaching.module_calls import after_forward, before_forward, seeing_code

CALL: Any = nn.Module._call_impl


class Speaking(nn.Module):
    """Warns about its callers, looks at its frames, and fails on request."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[str, int, str, list[str]]] = []

    def forward(self, x: torch.Tensor | None) -> torch.Tensor:
        for level in range(1, 7):
            warnings.warn(f"{level} up", stacklevel=level)
        stack = inspect.stack()[1:6]
        self.frames = [(frame.filename, frame.lineno, frame.function, sorted(frame.frame.f_locals)) for frame in stack]
        if x is None:
            raise ValueError("nothing to do")
        return x + 1


@pytest.fixture
def told() -> Iterator[list[tuple[str, nn.Module, Any]]]:
    found: list[tuple[str, nn.Module, Any]] = []
    handles = [
        before_forward(lambda module, args: found.append(("before", module, args))),
        after_forward(lambda module, args, output: found.append(("after", module, output))),
    ]
    yield found
    for handle in handles:
        handle.remove()


def _seen_by_the_script(hooked: bool) -> list[Any]:
    speaking = Speaking()
    model = nn.Sequential(speaking)
    if hooked:
        speaking.register_forward_hook(lambda module, args, output: output * 2)
        speaking.register_forward_pre_hook(lambda module, args: args)
    seen: list[Any] = []
    for x in (torch.ones(1), None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                seen.append(float(model(x)))
            except ValueError:
                seen.append(traceback.format_exc())
        seen += [(one.filename, one.lineno, str(one.message)) for one in caught]
        seen.append(speaking.frames)
    return seen


@pytest.mark.parametrize("hooked", [False, True])
def test_a_script_cannot_tell(hooked: bool) -> None:
    plain = _seen_by_the_script(hooked)
    handles = [before_forward(lambda module, args: None), after_forward(lambda module, args, output: None)]
    try:
        watched = _seen_by_the_script(hooked)
        assert not torch_module._global_forward_hooks
        assert not torch_module._global_forward_pre_hooks
    finally:
        for handle in handles:
            handle.remove()
    assert watched == plain
    assert CALL.__code__ is module_calls._ORIGINAL


def test_every_call_is_told_before_its_hooks_and_after(told: list[tuple[str, nn.Module, Any]]) -> None:
    inner = nn.Identity()
    outer = nn.Sequential(inner)
    inner.register_forward_pre_hook(lambda module, args: told.append(("pre-hook", module, None)))
    inner.register_forward_hook(lambda module, args, output: told.append(("hook", module, None)))
    outer(torch.ones(1))
    assert [(what, module is inner) for what, module, _ in told] == [
        ("before", False),
        *(("before", True), ("pre-hook", True), ("after", True), ("hook", True)),
        ("after", False),
    ]


def test_a_forward_that_fails_is_told_with_its_exception(told: list[tuple[str, nn.Module, Any]]) -> None:
    exceptions: list[Any] = []
    handle = after_forward(lambda module, args, output: exceptions.append(sys.exc_info()[1]))
    with warnings.catch_warnings(), pytest.raises(ValueError, match="nothing to do"):
        warnings.simplefilter("ignore")
        Speaking()(None)
    handle.remove()
    assert [type(one) for one in exceptions] == [ValueError]
    assert told[-1][2] is None


def test_where_torch_has_no_source_global_hooks_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        raise OSError("no source")

    monkeypatch.setattr(inspect, "getsourcelines", fails)
    seeing_code.cache_clear()
    try:
        assert seeing_code() is None
        seen: list[Any] = []
        handles = [before_forward(lambda module, args: seen.append(args)), after_forward(lambda module, args, output: seen.append(output))]
        nn.Identity()(3)
        for handle in handles:
            handle.remove()
        nn.Identity()(4)
        assert seen == [(3,), 3]
    finally:
        monkeypatch.undo()
        seeing_code.cache_clear()


def test_another_torch_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    source: Callable[[], Any] = lambda: (["    def _call_impl(self, *args, **kwargs):\n", "        return self.forward(*args)\n"], 3)  # noqa: E731
    monkeypatch.setattr(inspect, "getsourcelines", lambda function: source())
    seeing_code.cache_clear()
    try:
        assert seeing_code() is None
    finally:
        monkeypatch.undo()
        seeing_code.cache_clear()
