"""To look at what a module is, its code is run: nothing that it reaches may be another thing afterwards."""

from __future__ import annotations

import copy
import random
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.catalogue import ENTRIES

CALLS = 0
LOG: list[Any] = []
BY_KIND: dict[str, list[Any]] = {"shapes": []}
RANDOM = np.random.default_rng(0)
COUNTS = np.zeros(3)


class Tally:
    total = 0

    def __init__(self) -> None:
        self.calls = 0

    def add(self, what: Any) -> None:
        global CALLS
        CALLS += 1
        Tally.total += 1
        self.calls += 1
        LOG.append(what)
        BY_KIND["shapes"].append(what)
        COUNTS[0] += RANDOM.random()
        random.random()
        np.random.rand()
        print("the script was here")


def counting(forward: Any) -> Any:
    calls = 0

    def count(self: Any, x: torch.Tensor) -> Any:
        nonlocal calls
        calls += 1
        count.calls = calls  # type: ignore[attr-defined]
        return forward(self, x)

    return count


class Telling(nn.Module):
    """Tells everybody that it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.kept, self.tally, self.inner = 0, [], Tally(), SimpleNamespace(calls=0)  # type: ignore[var-annotated]
        self.register_buffer("seen", torch.zeros(1))
        self.generator, self.own = torch.Generator(), random.Random(0)

    def tell(self, x: Any) -> None:
        self.calls += 1
        self.kept.append(x)
        self.latest = x
        self.inner.calls += 1
        self.seen.add_(1)
        self.own.random()
        torch.rand(1)
        torch.rand(1, generator=self.generator)
        self.tally.add(x)


class Linear(Telling):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.zeros(8))

    @counting
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tell(x)
        return F.linear(x, self.weight, self.bias)


class TellingNorm(Telling):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tell(x)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True)) * self.weight


class TellingReLU(Telling):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tell(x)
        return x.relu()


class Block(Telling):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.act = Linear(), TellingReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tell(x)
        return x + self.f(self.act(x))


class Model(Telling):
    def __init__(self, normalises: bool) -> None:
        super().__init__()
        self.blocks, self.head = nn.Sequential(Block(), Block()), Linear()
        self.norm = TellingNorm() if normalises else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tell(x)
        return self.head(self.norm(self.blocks(x)))


def telling(model: nn.Module) -> list[Telling]:
    return [one for one in model.modules() if isinstance(one, Telling)]


def state_of(told: list[Telling]) -> list[Any]:
    """Return what modules, and what is outside of them, have counted and kept."""
    inside = [
        (
            one.calls,
            list(one.kept),
            hasattr(one, "latest"),
            one.inner.calls,
            one.tally.calls,
            float(one.seen),  # type: ignore[operator]
            one.own.getstate(),
            one.generator.get_state().tolist(),
        )
        for one in told
    ]
    outside = [CALLS, list(LOG), copy.copy(BY_KIND["shapes"]), Tally.total, COUNTS.tolist(), RANDOM.bit_generator.state]
    drawn = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]
    return [inside, outside, drawn, getattr(Linear.forward, "calls", None)]


@pytest.mark.parametrize("normalises", [False, True])
@pytest.mark.parametrize("name", sorted(entry.name for entry in ENTRIES))
def test_no_remedy_leaves_a_trace_of_having_looked(name: str, normalises: bool, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = Model(normalises)
    told = telling(model)  # no-norm gives a module another class
    before = state_of(told)
    try:
        apply(name, model)
    except RemedyError:
        assert name not in ("agc", "skip-init", "dropout", "weight-norm", "mup-output"), "it should have found something"
    assert state_of(told) == before
    assert capfd.readouterr() == ("", "")


def test_a_call_would_be_seen() -> None:
    model = Model(True)
    told = telling(model)
    before = state_of(told)
    model(torch.randn(2, 8))
    after = state_of(told)
    assert not any(one == other for one, other in zip(before[0], after[0], strict=True))
    assert not any(one == other for one, other in zip(before[1], after[1], strict=True))
    assert not any(one == other for one, other in zip(before[2], after[2], strict=True))
    assert before[3] != after[3]


class Asked:
    """Wants to be asked for nothing."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"asked for {name}")


class Slotted:
    __slots__ = ("value",)


with torch.inference_mode():
    INFERRED = torch.zeros(3)
LEAF = torch.zeros(3, requires_grad=True)
ODD = {
    "asked": Asked(),
    "slots": Slotted(),
    "lock": threading.Lock(),
    "weak": weakref.WeakKeyDictionary(),
    "objects": np.array([object()], dtype=object),
    "inferred": INFERRED,
    "computed": LEAF * 2,
    "sparse": torch.eye(8).to_sparse(),
    "meta": torch.empty(3, device="meta"),
    "nan": torch.full((3,), float("nan")),
    "complex": torch.zeros(3, dtype=torch.complex64),
    "expanded": torch.zeros(1).expand(5),
    "large": torch.zeros(1).expand(2**28),
}


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Linear(8, 8)
        for name, value in ODD.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.asked, self.slots, self.lock, self.weak, self.objects, self.inferred, self.computed  # noqa: B018
        self.sparse, self.meta, self.nan, self.complex, self.expanded, self.large, ODD  # noqa: B018
        return x + self.f(x)


def test_what_cannot_be_copied_or_asked_is_no_obstacle() -> None:
    model = nn.Sequential(Odd(), nn.Linear(8, 1))
    versions = {name: value._version for name, value in ODD.items() if isinstance(value, torch.Tensor) and name != "inferred"}
    assert apply("skip-init", model).touched[0].names == ("0.f",)
    assert {name: ODD[name]._version for name in versions} == versions  # type: ignore[attr-defined]
