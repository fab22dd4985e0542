from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.diagnose.script_error import advice
from bnprobe.launch.ending import describe


def changed_in_place() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.1)
    first, second = layers(torch.ones(2, 3)).sum(), layers(torch.ones(2, 3)).sum()
    first.backward()
    optimizer.step()
    second.backward()


def backward_twice() -> None:
    loss = (nn.Linear(3, 1)(torch.ones(2, 3)) ** 2).sum()
    loss.backward()
    loss.backward()


def without_a_graph() -> None:
    nn.Linear(3, 1)(torch.ones(2, 3)).detach().sum().backward()


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (changed_in_place, "two optimizers take turns"),
        (backward_twice, "`detach()` a hidden state"),
        (without_a_graph, "depends on nothing that is trained"),
        (lambda: nn.Linear(3, 1)(torch.ones(2, 4)), "in_features"),
        (lambda: nn.Embedding(3, 2)(torch.tensor([3])), "num_embeddings"),
        (lambda: F.cross_entropy(torch.zeros(1, 3), torch.tensor([3])), "number of classes less one"),
        (lambda: F.binary_cross_entropy(torch.tensor([2.0]), torch.ones(1)), "binary_cross_entropy_with_logits"),
        (lambda: F.binary_cross_entropy(torch.ones(1), torch.tensor([255.0])), "scale a mask"),
        (lambda: torch.ones(2, 3) @ torch.ones(4, 2), "matrix product"),
        (lambda: nn.BatchNorm1d(3)(torch.ones(1, 3)), "drop_last=True"),
        (lambda: torch.empty(2**50), "smaller"),
        (lambda: nn.Linear(3, 1)(torch.ones(2, 3, dtype=torch.float64)), "one dtype"),
        (lambda: F.cross_entropy(torch.zeros(1, 3), torch.tensor([[0, 1, 0]])), "one index a sample"),
    ],
)
def test_what_torch_says_is_known(fail: Callable[[], object], words: str) -> None:
    with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
        fail()
    assert words in advice(describe(caught.value))


def test_what_needs_another_device_to_happen() -> None:
    said = "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
    assert "one device" in advice(said)


def test_of_another_error_nothing_is_said() -> None:
    assert advice("KeyError: 'labels'") == ""
    assert advice("") == ""
    assert advice("ValueError: dropout probability has to be between 0 and 1, but got 1.5") == ""
