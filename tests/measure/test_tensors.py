"""What compiled code asks of many tensors at once is what each is asked without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.measure import fused
from bnprobe.measure.fused import gradients, lengths, numbers_among

pytestmark = pytest.mark.skipif(fused._tensors() is None or not fused.available(), reason="built without a C compiler or Python's header")


class Own(torch.Tensor):
    """A class of a script."""


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], tuple[Any, Any]]:
    def ask(question: Callable[[], Any]) -> tuple[Any, Any]:
        found = question()
        with monkeypatch.context() as patch:
            patch.setattr(fused, "_tensors", lambda: None)
            return found, question()

    return ask


def tensors() -> dict[str, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator)
    freed = torch.ones(64)
    freed.untyped_storage().resize_(0)
    return {
        "plain": x,
        "a parameter": nn.Parameter(x),
        "none": None,
        "empty": torch.empty(0, 3),
        "one number": torch.tensor(2.0),
        "large": torch.randn(300, 1000, generator=generator),
        "a part": x[2:],
        "transposed": x.t(),
        "negated": torch.imag(torch.complex(x, x).conj()),
        "of another type": x.double(),
        "half": x.half(),
        "elsewhere": x.to("meta"),
        "sparse": x.to_sparse(),
        "of its own class": x.as_subclass(Own),
        "given back": freed,
    }


@pytest.mark.parametrize("name", tensors())
def test_norms(name: str, both: Callable[..., tuple[Any, Any]]) -> None:
    tensor = tensors()[name]
    found, expected = both(lambda: lengths([torch.ones(3), tensor, None]))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)
        if tensor is not None:
            assert found[1] == pytest.approx(float(tensor.detach().double().norm()), rel=1e-6)


def test_differences_and_copies(both: Callable[..., tuple[Any, Any]]) -> None:
    x, y, copy = torch.arange(5.0), torch.ones(5), torch.zeros(5)
    found, expected = both(lambda: lengths([x, None, y], minus=[y, None, y], copies=[copy, None, None]))
    np.testing.assert_array_equal(found, expected)
    assert torch.equal(copy, x) and found[2] == 0.0 and np.isnan(found[1])
    assert both(lambda: lengths([x], minus=[y.double()])) == (None, None)


def test_gradients(both: Callable[..., tuple[Any, Any]]) -> None:
    leaf, other, kept = (torch.ones(3, requires_grad=True) for _ in range(3))
    middle, retained = leaf * 2, kept * 3
    retained.retain_grad()
    (middle.sum() + retained.sum()).backward()
    found, expected = both(lambda: gradients([leaf, other, middle, retained, torch.ones(2)]))
    assert all(one is another for one, another in zip(found, expected, strict=True))
    assert [one is not None for one in found] == [True, False, False, True, False]


def test_numbers(both: Callable[..., tuple[Any, Any]]) -> None:
    x, whole, imaginary = torch.ones(2), torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.complex64)
    found, expected = both(lambda: numbers_among([x, whole, "text", x, imaginary, None]))
    assert list(map(id, found)) == list(map(id, expected)) == [id(x), id(imaginary)]
