"""What counts as a step of an optimizer where hooks of the script, or a step itself, step as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from bnprobe.observe.attaching.optimizers import OptimizerTaps
from bnprobe.observe.attaching.patches import Patches

Heard = list[str]


@pytest.fixture
def taps(heard: Heard) -> OptimizerTaps:
    return OptimizerTaps(lambda _: heard.append("before"), lambda _: heard.append("after"), lambda _: heard.append("skipped"))


@pytest.fixture
def heard() -> Heard:
    return []


@pytest.fixture
def patches() -> Iterator[Patches]:
    made = Patches()
    yield made
    made.undo()


def optimizer(kind: Callable[..., Optimizer] = torch.optim.SGD) -> Optimizer:
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return kind([weight], lr=0.1)


class Steps:
    """A hook that steps the same optimizer, once."""

    def __init__(self) -> None:
        self.is_inside = False

    def __call__(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        if not self.is_inside:
            self.is_inside = True
            optimizer.step()
            self.is_inside = False


@pytest.mark.parametrize("is_before", [True, False])
def test_a_step_that_a_global_hook_of_the_script_makes_is_an_inner_one(
    taps: OptimizerTaps, heard: Heard, patches: Patches, is_before: bool
) -> None:
    """Its hook runs before ours hears of a step, or after ours has heard of its end."""
    if is_before:
        handle = register_optimizer_step_pre_hook(Steps())
        taps.attach(patches)
    else:
        taps.attach(patches)
        handle = register_optimizer_step_post_hook(Steps())
    try:
        one = optimizer()
        one.step()
        one.step()
    finally:
        handle.remove()
    assert heard == ["before", "after"] * 2
    one.step()
    assert heard == ["before", "after"] * 3


class GoesBackward(torch.optim.SGD):
    """Goes backward within its step, which tells the taps to settle, and then steps as its parent does."""

    settle: Callable[[], None]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        self.settle()
        super().step(closure)


def test_a_step_that_goes_backward_itself_is_one(taps: OptimizerTaps, heard: Heard, patches: Patches) -> None:
    taps.attach(patches)
    GoesBackward.settle = lambda _: taps.settle()  # type: ignore[assignment,misc]
    optimizer()  # from now on the parent's step has its hooks
    optimizer(GoesBackward).step()
    assert heard == ["before", "after"]


def test_a_later_optimizer_is_told_from_one_whose_place_in_memory_it_has(taps: OptimizerTaps) -> None:
    numbers = [taps.number_of(optimizer()) for _ in range(20)]
    assert len(set(numbers)) == 20
    one = optimizer()
    assert taps.number_of(one) == taps.number_of(one)
