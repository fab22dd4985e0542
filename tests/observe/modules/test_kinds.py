"""What is known of a module from the first look at it."""

from __future__ import annotations

import gc

from torch import nn

from bnprobe.observe.modules.kinds import examine


def test_a_module_that_is_gone_is_still_a_key() -> None:
    module = nn.Linear(2, 2)
    known = {examine(module).reference: "signals that wait for their backward"}
    entry = next(iter(known))
    del module
    gc.collect()
    assert entry() is None
    assert known[entry]
