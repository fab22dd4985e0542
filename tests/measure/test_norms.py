"""Norms against float64 numpy, for whatever stands in a list of gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bnprobe.measure import fused
from bnprobe.measure.norms import distances, norms, total_norm

EPS = 2.0**-24
#: Plain float32 sums of squares, a few thousand terms in vector lanes.
ROUNDINGS = 64


def right(tensor):
    tensor = tensor.detach()
    dense = tensor.to_dense() if tensor.is_sparse else tensor
    return float(np.linalg.norm(dense.to(torch.complex128 if dense.is_complex() else torch.float64).numpy().ravel()))


def test_an_empty_list():
    assert norms([]).shape == (0,)


def test_nothing_present():
    assert torch.isnan(norms([None, None])).tolist() == [True, True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
def test_what_was_given_back_has_no_norm(path, dtype):
    freed, new = torch.ones(64, 64, dtype=dtype), torch.ones(4)
    freed.untyped_storage().resize_(0)
    assert norms([freed, new]).tolist() == pytest.approx([math.nan, 2.0], nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (64, 64), (16, 8, 3, 3), (0,), (3, 0)])
def test_one_tensor(shape, dtype):
    tensor = torch.from_numpy(np.asarray(np.random.default_rng(0).normal(size=shape))).to(dtype)
    found = norms([tensor])
    assert found.dtype == torch.float32
    assert float(found[0]) == pytest.approx(right(tensor), rel=ROUNDINGS * EPS, abs=0)


SIZES = [[], [1], [fused.CHUNK], [fused.CHUNK + 1, 0, 3, 3 * fused.CHUNK - 1, 5, 0], [200_003] * 3]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_many_tensors(path, sizes, threads, monkeypatch):
    rng = np.random.default_rng(2)
    olds, steps = ([torch.from_numpy(rng.normal(size=size)).float() for size in sizes] for _ in range(2))
    news = [old + 1e-3 * step for old, step in zip(olds, steps, strict=True)]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    lengths = [right(new) for new in news]
    moved = [right(new.double() - old.double()) for old, new in zip(olds, news, strict=True)]
    assert norms([None, *news]).tolist()[1:] == pytest.approx(lengths, rel=ROUNDINGS * EPS)
    # A difference of near float32 numbers is exact.
    assert distances([*olds, None], [*news, None]).tolist()[:-1] == pytest.approx(moved, rel=ROUNDINGS * EPS)


@pytest.mark.parametrize("value", [1e-30, 1e30])
def test_the_compiled_norm_neither_overflows_nor_vanishes(value):
    if not fused.available():
        pytest.skip("built without a C compiler")
    assert float(norms([torch.full((4,), value)])[0]) == pytest.approx(2 * value, rel=1e-6)


def test_mixed_kinds_keep_their_places():
    rng = np.random.default_rng(1)
    dense = torch.from_numpy(rng.normal(size=(40, 30)))
    indices = torch.tensor([[0, 3, 3, 9]])
    rows = torch.from_numpy(rng.normal(size=(4, 5))).float()
    tensors = [
        None,
        dense.float(),
        dense.bfloat16(),
        torch.sparse_coo_tensor(indices, rows, (10, 5), check_invariants=True),  # row 3 twice: it counts as the sum
        None,
        dense.double(),
        dense.half(),
        dense.float().t()[::2],
        torch.complex(dense, -dense).to(torch.complex64),
        torch.nn.Parameter(dense.float()[:1] * 1e-3),
        torch.zeros(5),
        None,
    ]
    found = norms(tensors)
    assert not found.requires_grad
    for value, tensor in zip(found.tolist(), tensors, strict=True):
        assert math.isnan(value) if tensor is None else value == pytest.approx(right(tensor), rel=ROUNDINGS * EPS, abs=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    """65504 is float16's largest number: the norm of two of these is beyond it."""
    tensor = torch.full((2,), 60000.0, dtype=dtype)
    assert float(norms([tensor])[0]) == pytest.approx(right(tensor), rel=ROUNDINGS * EPS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_shows(value):
    found = norms([torch.tensor([1.0, value]), torch.tensor([3.0, 4.0])])
    assert not math.isfinite(float(found[0])) and float(found[1]) == 5.0


class Sharded(torch.Tensor):
    """Stands for DTensor: what counts is the shard at hand."""

    def detach(self):
        return self

    def to_local(self):
        return torch.tensor([3.0, 4.0])


def test_a_sharded_tensor_counts_with_its_local_part():
    assert norms([torch.zeros(9).as_subclass(Sharded)]).tolist() == [5.0]


class Refusing(torch.Tensor):
    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError(func)


def test_a_tensor_that_computes_by_code_of_its_own_is_asked_nothing():
    refusing = torch.Tensor._make_wrapper_subclass(Refusing, (3,))
    assert norms([refusing, torch.ones(4)]).tolist() == pytest.approx([math.nan, 2.0], nan_ok=True)


def test_tensors_are_left_as_they_are():
    sparse = torch.sparse_coo_tensor(torch.tensor([[1, 1]]), torch.tensor([2.0, 3.0]), (4,), check_invariants=True)
    dense = torch.tensor([1.0, -2.0])
    assert norms([sparse, dense]).tolist() == pytest.approx([5.0, math.sqrt(5.0)])
    assert not sparse.is_coalesced() and dense.tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [torch.full((3, 4), 2.0), torch.tensor(5.0), torch.empty(0)],
        [torch.ones(7), torch.full((2,), 3.0, dtype=torch.float64)],
        [torch.full((9,), 0.5, dtype=torch.bfloat16), torch.ones(2)],
        [torch.tensor([3.0 + 4.0j]), torch.ones(2)],
        [torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.tensor([3.0, 4.0]), (5,), check_invariants=True), torch.ones(2)],
    ],
    ids=["nothing", "shapes", "dtypes", "half precision", "complex", "sparse"],
)
def test_the_norm_of_all(tensors):
    expected = math.hypot(*(right(tensor) for tensor in tensors))
    assert total_norm(tensors) == pytest.approx(expected, rel=ROUNDINGS * EPS)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_the_norm_of_all_is_no_number_where_one_is_none(value):
    assert not math.isfinite(total_norm([torch.ones(3), torch.tensor([1.0, value])]))
