"""A second run of a forward leaves no trace but what it logs."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from bnprobe.remedies.side_effects import without_side_effects


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.seen: list[int] = []
        self.known = {"calls": 0}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(self.calls)
        self.known["calls"] += 1
        self.added = x
        print("called")
        return x


def test_attributes_and_what_they_contain_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    counting = Counting()
    model = nn.Sequential(counting)
    model(torch.ones(1))
    seen, known = counting.seen, counting.known
    with without_side_effects(model):
        model(torch.zeros(1))
        assert counting.calls == 2
        other = threading.Thread(target=print, args=("from another thread",))
        other.start()
        other.join()
    assert (counting.calls, counting.seen, counting.known) == (1, [1], {"calls": 1})
    assert counting.seen is seen and counting.known is known
    assert counting.added == torch.ones(1)
    print("after")
    assert capsys.readouterr().out == "called\nfrom another thread\nafter\n"


def test_what_was_new_is_gone_even_if_it_fails() -> None:
    counting = Counting()
    with pytest.raises(ZeroDivisionError), without_side_effects(counting):
        counting(torch.ones(1))
        print(1 / 0)
    assert not hasattr(counting, "added")
    assert counting.calls == 0
