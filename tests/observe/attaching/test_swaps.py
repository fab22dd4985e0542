"""Torch is shown the references of others, and not those of the recorder."""

from __future__ import annotations

import weakref

import pytest
import torch

from bnprobe.identity import OwnReference
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.attaching.swaps import Swaps


def test_a_tensor_that_the_recorder_refers_to_is_swapped_only_while_it_watches() -> None:
    one, other, patches = torch.zeros(2), torch.ones(2), Patches()
    own = OwnReference(one)
    Swaps().attach(patches)
    torch.utils.swap_tensors(one, other)
    assert one.tolist() == [1.0, 1.0]
    assert own() is one
    patches.undo()
    with pytest.raises(RuntimeError, match="weakref"):
        torch.utils.swap_tensors(one, other)


def test_a_reference_of_the_script_still_forbids_it() -> None:
    one, patches = torch.zeros(2), Patches()
    references = OwnReference(one), weakref.ref(one)
    Swaps().attach(patches)
    with pytest.raises(RuntimeError, match="weakref"):
        torch.utils.swap_tensors(one, torch.ones(2))
    patches.undo()
    assert all(reference() is one for reference in references)
