"""Replacements are undone, step aside for compiled code, and leave alone what the script has put over them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from bnprobe.observe.attaching.patches import Patches


class Base:
    def call(self) -> str:
        return "theirs"


class Derived(Base):
    pass


def ours(original: Callable[..., str]) -> Callable[..., str]:
    return lambda *args: "ours over " + original(*args)


class Registry:
    """Global hooks, as torch keeps them."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []

    def register(self, hook: Any) -> Any:
        self.hooks.append(hook)
        return SimpleNamespace(remove=lambda: self.hooks.remove(hook))


def test_an_inherited_method_is_inherited_again() -> None:
    patches = Patches()
    patches.replace(Derived, "call", ours)
    assert Derived().call() == "ours over theirs"
    assert Base().call() == "theirs"
    patches.undo()
    assert "call" not in vars(Derived)


def test_what_the_script_puts_over_ours_stays() -> None:
    patches, owner = Patches(), SimpleNamespace(call=lambda: "theirs")
    patches.replace(owner, "call", ours)
    below = owner.call
    owner.call = script = lambda: "the script's over " + below()
    with patches.aside():
        assert owner.call is script
    patches.undo()
    assert owner.call is script


def test_a_cell_is_replaced_below_its_function() -> None:
    def make() -> tuple[Callable[[], str], Any]:
        def body() -> str:
            return "theirs"

        def public() -> str:
            return body()

        assert public.__closure__ is not None
        return public, public.__closure__[0]

    patches, (public, cell) = Patches(), make()
    patches.replace(cell, "cell_contents", ours)
    assert public() == "ours over theirs"
    with patches.aside():
        assert public() == "theirs"
    assert public() == "ours over theirs"
    patches.undo()
    assert public() == "theirs"


def test_hooks_step_aside_once_and_come_back_at_the_outermost_end() -> None:
    patches, registry = Patches(), Registry()
    patches.hook(registry.register, print)
    with patches.aside():
        with patches.unhooked():
            assert registry.hooks == []
        assert registry.hooks == []
    assert registry.hooks == [print]
    patches.undo()
    assert registry.hooks == []
    with patches.aside():
        pass
    assert registry.hooks == []
