"""Closures that optimizers are given, and what may stand in their place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from torch import nn


def closure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any] | None:
    """Return the closure among the arguments of ``Optimizer.step``, if there is one: it may be a loss, a rate or the model."""
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    return closure if callable(closure) and not isinstance(closure, nn.Module | type) else None


def with_closure(args: tuple[Any, ...], kwargs: dict[str, Any], closure: Callable[..., Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with another closure in the place of theirs."""
    return (args, {**kwargs, "closure": closure}) if "closure" in kwargs else ((args[0], closure, *args[2:]), kwargs)


def around_closure(wrap: Callable[[Callable[..., Any]], Callable[..., Any]], closure: Callable[..., Any]) -> Callable[..., Any]:
    """Return a closure of the same kind whose body is wrapped: an optimizer may look at its signature, or at what it is.

    Args:
        wrap: takes what is called and returns what is to be called instead, with the same arguments.
        closure: what the script gave the optimizer.
    """
    if type(closure) is functools.partial:
        return functools.partial(functools.wraps(closure.func)(wrap(closure.func)), *closure.args, **closure.keywords)
    if isinstance(closure, MethodType):
        return MethodType(functools.wraps(closure.__func__)(wrap(closure.__func__)), closure.__self__)
    if isinstance(closure, FunctionType):
        return functools.wraps(closure)(wrap(closure))
    return _ClosureObject(wrap(closure), closure)


class _ClosureObject:
    """Stands for an object that is called, attributes and class included."""

    def __init__(self, run: Callable[..., Any], closure: Callable[..., Any]) -> None:
        self.__dict__.update(_run=run, _closure=closure)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._closure, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._closure, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._closure)
