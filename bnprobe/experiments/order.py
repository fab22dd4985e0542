"""What one trial is: a script, what is changed about its training, and how far it goes; whoever runs it, and wherever."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """What is tried: a script or module with its arguments."""

    name: str
    is_module: bool
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What a trial changes about the script's training; the defaults change nothing.

    Attributes:
        remedies: specifications of remedies, in order.
        interventions: names of interventions.
        factor: on every learning rate.
        seed: 0 is the script as it is.
    """

    remedies: tuple[str, ...] = ()
    interventions: tuple[str, ...] = ()
    factor: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class TrialOrder:
    """One trial, whole.

    Attributes:
        script: what is tried.
        change: what is changed about it.
        steps: optimizer steps; None lets the script end.
        threads: that torch may use; None leaves that to the environment and torch.
        command: for whom the trial is made.
        probes: whether the recording shall predict a limit, too.
        compared: whether it shall hold what trainings are compared by: evaluations, costs.
        until_diverged: whether it ends as soon as it has diverged.
        cwd: the folder that the script runs in; None is that of the process.
    """

    script: Script
    change: Change
    steps: int | None
    threads: int | None
    command: str
    probes: bool = False
    compared: bool = False
    until_diverged: bool = True
    cwd: str | None = None

    def to_json(self) -> str:
        """Return the order as a JSON document."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrialOrder:
        """Return the order that ``to_json`` wrote.

        >>> order = TrialOrder(Script("train.py", False, ("--lr", "1")), Change(("msr",)), 20, None, "compare")
        >>> TrialOrder.from_json(order.to_json()) == order
        True
        """
        found = json.loads(text)
        script, change = found.pop("script"), found.pop("change")
        lists = {name: tuple(change[name]) for name in ("remedies", "interventions")}
        return cls(Script(**{**script, "arguments": tuple(script["arguments"])}), Change(**{**change, **lists}), **found)
