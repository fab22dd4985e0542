"""What a step measured, brought to the host in one piece."""

from __future__ import annotations

import numpy as np
import torch

from bnprobe.measure.pages import pages
from bnprobe.measure.transfer import Transfer


def test_vectors_of_both_kinds_keep_their_order():
    vectors = [np.arange(3.0), torch.tensor([1.5, 2.5]), np.empty(0), torch.tensor([True]), np.array([np.nan])]
    found = Transfer(vectors).result()
    assert [vector.dtype for vector in found] == [np.float64] * 5
    assert [vector.tolist() for vector in found[:4]] == [[0.0, 1.0, 2.0], [1.5, 2.5], [], [1.0]]
    assert np.isnan(found[4]).tolist() == [True]


def test_what_arrives_shares_no_memory_with_what_was_sent():
    """Else a vector that is kept would hold the memory in which it was made, between the training's tensors."""
    sent = np.arange(3.0)
    (found,) = Transfer([sent]).result()
    assert not np.shares_memory(sent, found)
    sent[:] = 7.0
    assert found.tolist() == [0.0, 1.0, 2.0]


def test_nothing_but_empty_vectors():
    assert [vector.size for vector in Transfer([np.empty(0)]).result()] == [0]


def test_pages_are_zeros_that_can_be_written_and_outlive_their_block():
    whole = pages(5)
    part = whole[2:4]
    part += 1.0
    assert whole.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    del whole
    assert part.tolist() == [1.0, 1.0]
    assert pages(0).size == 0
