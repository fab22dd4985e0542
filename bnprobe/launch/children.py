"""Trainings in processes that a recorded script starts: each is recorded to a file beside the script's own.

What such a process needs to know travels in its environment, and python itself begins there (``in_children/sitecustomize.py``): so it is
all one whether the script spawns workers, starts python again with its own command line, or leaves that to a launcher. Forked processes
have all of it already (``lifecycle``). A process has a file from its first training step on; a loader's worker leaves none.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.launch import ending as endings
from bnprobe.launch.claim import Claim
from bnprobe.launch.ending import Ending, describe
from bnprobe.observe.options import RecordOptions
from bnprobe.processes import LAUNCH, Rank, attributes_of

if TYPE_CHECKING:
    from bnprobe.launch.lifecycle import Lifecycle
    from bnprobe.observe.recorder import Recorder

#: Where the plan stands for the processes that a script starts.
VARIABLE = "BNPROBE_CHILDREN"
#: What python imports from there as it begins.
_HOOK = Path(__file__).parent / "in_children"
_MOST_STARTS = 10_000


@dataclass(frozen=True)
class Plan:
    """What the processes of one recorded script are told.

    Attributes:
        file: the script's own run file, absolute; theirs lie beside it.
        options: what to record.
        provenance: how the run was made.
        overwrite: whether files of an earlier recording may go.
        began: when the script began, seconds since the epoch: what is older is of an earlier recording.
        launch: what all of them share, and no other script's.
    """

    file: Path
    options: RecordOptions
    provenance: dict[str, str]
    overwrite: bool
    began: float
    launch: str

    def announce(self, environ: MutableMapping[str, str]) -> None:
        """Tell every python that will be started with this environment."""
        environ[VARIABLE] = json.dumps({**asdict(self), "file": str(self.file)})
        environ[LAUNCH] = self.launch
        environ["PYTHONPATH"] = os.pathsep.join([str(_HOOK), *filter(None, [environ.get("PYTHONPATH")])])

    def withhold(self, environ: MutableMapping[str, str]) -> None:
        """Undo ``announce``."""
        for name in (VARIABLE, LAUNCH):
            environ.pop(name, None)
        others = [one for one in environ.get("PYTHONPATH", "").split(os.pathsep) if one != str(_HOOK)]
        if any(others):
            environ["PYTHONPATH"] = os.pathsep.join(others)
        else:
            environ.pop("PYTHONPATH", None)

    @property
    def files(self) -> list[Path]:
        """The files of trainings in processes of this script, those of an earlier recording left out."""
        return [file for file in files_beside(self.file) if file.stat().st_mtime >= self.began]


def plan(file: Path, options: RecordOptions, provenance: dict[str, str], *, overwrite: bool) -> Plan:
    """Return what processes of a script are told, which is about to begin.

    Raises:
        UsageError: files of an earlier recording lie where theirs would.
    """
    there = files_beside(file.absolute())
    if there and not overwrite:
        raise UsageError(f"'{there[0]}' already exists", "choose another name with -o, or overwrite it with -f")
    # A file system may keep whole seconds alone.
    return Plan(file.absolute(), options, provenance, overwrite, float(int(time.time())), uuid.uuid4().hex[:16])


def planned(environ: MutableMapping[str, str]) -> Plan:
    """Read what ``Plan.announce`` has written."""
    found = json.loads(environ[VARIABLE])
    options: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found["options"].items()}
    return Plan(**{**found, "file": Path(found["file"]), "options": RecordOptions(**options)})


def files_beside(file: Path) -> list[Path]:
    """Return the files of trainings in processes of a script, by the name of its own, in the order of their numbers."""
    pattern = re.compile(re.escape(file.stem) + r"(?:\.start(\d+))?\.(rank|child)(\d+)" + re.escape(file.suffix))
    found = [(one, match) for one in file.parent.glob(f"*{file.suffix}") if (match := pattern.fullmatch(one.name))]
    return [one for one, match in sorted(found, key=lambda pair: (int(pair[1][1] or 1), pair[1][2], int(pair[1][3])))]


class Child:
    """A process that a recorded script has started, and its recording, if it trains.

    Args:
        plan: what it was told.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._claim: Claim | None = None
        self._exit: SystemExit | None = None
        self._original_exit: Any = None

    def make_recording(self) -> Recorder:
        """Make a recorder, which has no file yet."""
        from bnprobe.observe.recorder import Recorder  # needs torch, which is there by now

        return Recorder(None, self._plan.options, self._plan.provenance, place=self.place)

    def place(self, rank: Rank, shares_weights: bool) -> tuple[Path, dict[str, str]]:
        """Take a file for a training that has begun.

        Args:
            rank: which of a group of processes this is, as torch knows it; one alone where there is no group.
            shares_weights: whether its weights are in memory that other processes have, too.

        Returns:
            The file, and root attributes that say which processes belong together: those of a group, and those that train the same weights.
            The others are trainings of their own.

        Raises:
            UsageError: every name that could be given is taken.
        """
        number = _number()
        for name, start, label in _names(self._plan.file, rank, number):
            file = self._plan.file.with_name(name)
            try:
                claim = Claim(file)
            except UsageError:
                continue  # another process of this script has it
            if file.exists() and not (self._plan.overwrite and file.stat().st_mtime < self._plan.began):
                claim.release()
                continue
            self._claim = claim
            launch = self._plan.launch if start == 1 else f"{self._plan.launch}.{start}"
            if rank.world_size > 1:
                return file, attributes_of({**os.environ, LAUNCH: launch}, rank)
            if shares_weights:
                alone = {"rank": str(label - 1), "world_size": "0", "launch": launch, "launch_node": "0", "launcher": launch}
                return file, {**alone, "together": "weights in shared memory"}
            return file, {}
        raise UsageError(f"there is no name left for another file beside '{self._plan.file}'", "choose another name with -o")

    def fault(self, error: Exception) -> None:
        """Something of ours failed; the script does not notice."""
        text = str(error) if isinstance(error, BnprobeError) else describe(error)
        try:
            print(f"bnprobe: the recording of process {os.getpid()} failed: {text}", file=sys.stderr, flush=True)
        except (OSError, ValueError, AttributeError):  # closed by the script
            pass

    def left_alone(self, swallowed: Exception | None) -> None:
        """Nothing: a child begins a file of its own."""

    def ended(self, ending: Ending, recorded: bool, hurried: bool) -> None:
        """Nothing is said: the script's own process names the files at its end."""

    def replaced(self, call: str, recorded: bool) -> None:
        """Nothing is said: the other program, where it is python, is recorded as this one was."""

    def not_replaced(self) -> None:
        """Nothing is said either."""

    def release(self) -> None:
        """The file is closed."""
        if self._claim is not None:
            self._claim.release()

    def watch_exit(self) -> None:
        """Take note of ``sys.exit``, which leaves no other trace for what runs at the end of a process."""
        original = self._original_exit = sys.exit

        def exit(*arguments: Any) -> None:
            try:
                original(*arguments)
            except SystemExit as leave:
                self._exit = leave
                raise

        sys.exit = exit  # type: ignore[assignment]

    def forget_exit(self) -> None:
        """Put ``sys.exit`` back, for a process that is left to another recording."""
        if self._original_exit is not None:
            sys.exit, self._original_exit = self._original_exit, None

    def how_it_ended(self) -> Ending:
        """Say how this process ends, as its last functions run."""
        error = getattr(sys, "last_value", None)
        if error is not None:
            return endings.from_exception(error)
        return endings.from_exception(self._exit) if self._exit is not None else endings.finished()


#: This process, where a recorded script has started it: what it was told, and what records it.
_own: list[tuple[Plan, Child, Lifecycle]] = []


def begin() -> None:
    """Record what this process trains; called as python begins."""
    from bnprobe.launch.lifecycle import Lifecycle

    told = planned(os.environ)
    child = Child(told)
    child.watch_exit()
    lifecycle = Lifecycle(
        child.make_recording, child, told.options.strict, child.release, in_fork=in_fork(told), how_it_ended=child.how_it_ended
    )
    lifecycle.arm()
    _own.append((told, child, lifecycle))


def step_aside() -> Path | None:
    """Leave this process, and those that it starts, to a command of bnprobe that it is: two recordings of one training are one too many.

    Returns:
        The file of the script that has started it and whose processes are recorded; None where there is none, or where this process has
        imported torch, and is being recorded, already.
    """
    for told, child, lifecycle in _own:
        if lifecycle.withdraw():
            child.forget_exit()
            told.withhold(os.environ)
            return told.file
    if not _own and VARIABLE in os.environ and (sys.flags.ignore_environment or sys.flags.no_site):
        # This python did not listen to its environment, or not so early; those that it starts would.
        told = planned(os.environ)
        told.withhold(os.environ)
        return told.file
    return None


def in_fork(told: Plan) -> Callable[[], Child]:
    """Return what makes the recording of a forked process."""
    return lambda: Child(told)


def _number() -> int:
    """Which of its parent's processes this is, counted from 1, as multiprocessing counts; 0 where it does not."""
    module = sys.modules.get("multiprocessing.process")
    identity = module.current_process()._identity if module is not None else ()
    return int(identity[-1]) if identity else 0


def _names(file: Path, rank: Rank, number: int) -> Iterator[tuple[str, int, int]]:
    """Yield names of files for a training, the wanted one first, with the number of the start and of the process.

    A script may start its workers again, for the next part of a study: the same number is another start then.
    """
    for count in range(1, _MOST_STARTS):
        start, label = (count, number) if rank.world_size > 1 or number else (1, count)
        again = f".start{start}" if start > 1 else ""
        what = f"rank{rank.number}" if rank.world_size > 1 else f"child{label}"
        yield f"{file.stem}{again}.{what}{file.suffix}", start, label
