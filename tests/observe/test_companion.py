"""What goes along with a recording."""

from __future__ import annotations

from typing import Any

import torch

from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.companion import Companion, Companions

EVENTS: dict[str, tuple[Any, ...]] = {
    "expect": ([],),
    "attach": (Patches(),),
    "detach": (),
    "backward_begins": (3,),
    "update_begins": (),
    "before_update": (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1),),
    "after_update": (),
    "step_ended": (True,),
    "step_closed": (3,),
    "leave_off": (),
    "finish": (4, "ending"),
}


def test_several_are_told_everything_in_their_order() -> None:
    heard: list[tuple[str, str, tuple[Any, ...]]] = []

    def listener(name: str) -> Companion:
        methods = {event: lambda self, *args, event=event: heard.append((name, event, args)) for event in EVENTS}
        return type(name, (Companion,), methods)()

    several = Companions([listener("first"), listener("second")])
    for event, args in EVENTS.items():
        getattr(several, event)(*args)
    assert heard == [(name, event, args) for event, args in EVENTS.items() for name in ("first", "second")]


def test_every_event_is_passed_on() -> None:
    assert {name for name in vars(Companion) if not name.startswith("_")} == set(EVENTS)
