"""Bring one recording to a good end, whichever way the process ends.

| the script ends by                        | we learn of it through              | what a shell sees |
|-------------------------------------------|-------------------------------------|-------------------|
| its last line, ``sys.exit``, an exception | an exit function                    | unchanged         |
| Ctrl-C                                    | the same                            | 130               |
| ``os._exit(n)``                           | a wrapper around it                 | n                 |
| SIGTERM, SIGHUP                           | a handler, if there was none before | 143, 129          |
| ``os.execv`` and its kind                 | a wrapper around it                 | the other program's |
| SIGKILL, a segmentation fault             | not at all: the file on disk counts | 137, 139          |

The exit function is registered when torch is imported, so it runs late: after threads have joined and after the exit functions
that the script registers from then on. A forked child forgets the recording, and every path asks for the process id first; where the
processes of a script are recorded, it begins one of its own.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol

from bnprobe.errors import ResumeError
from bnprobe.launch import ending as endings
from bnprobe.launch.ending import Ending
from bnprobe.launch.importing import AfterImport
from bnprobe.launch.quiet_signals import QuietSignals
from bnprobe.originals import Original
from bnprobe.own_imports import ours

#: The right to start a program is the effective user's, which not every system can be asked for.
_ASKS_AS_EXEC = os.access in os.supports_effective_ids
_FATAL_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Recording(Protocol):
    """What the lifecycle asks of a recorder."""

    def install(self) -> None:
        """Attach to torch, which has just been imported."""

    def flush(self) -> None:
        """Put on disk what is held in memory."""

    def leave_off(self, ending: Ending | None) -> None:
        """Write as if the process ended now, for it may; None: it did not."""

    def finish(self, ending: Ending) -> None:
        """Write the rest and how it ended. May be called twice, and from a signal handler that interrupted ``flush``."""

    def abandon(self) -> None:
        """Forget everything without touching the file: this is a forked child."""

    @property
    def has_recorded(self) -> bool:
        """Whether the file holds something of this process."""

    @property
    def has_rows(self) -> bool:
        """Whether a step of this process has been taken down."""

    @property
    def refusal(self) -> Exception | None:
        """Why the file holds nothing of this process, where it was asked to stop the script."""


class Listener(Protocol):
    """Who is told what happens to the recording, so that it can tell the user."""

    def fault(self, error: Exception) -> None:
        """Something of ours failed; the script goes on."""

    def ended(self, ending: Ending, recorded: bool, hurried: bool) -> None:
        """The file is closed. ``recorded`` is False if torch never came; ``hurried`` if the process dies at once."""

    def left_alone(self, swallowed: Exception | None) -> None:
        """The file is as it was: no step was taken, or the recording did not begin; ``swallowed`` is what the script caught of that."""

    def replaced(self, call: str, recorded: bool) -> None:
        """Another program is about to take this one's place, by ``call``. ``recorded`` is False if no step was."""

    def not_replaced(self) -> None:
        """That program could not be started: the script goes on."""


class ForkRecording(Recording, Protocol):
    """What the lifecycle asks of the recorder of a forked child."""

    def take_over(self, other: Any) -> None:
        """Know what the parent's recording, of the same kind, knew before this process was forked."""


class Process(Listener, Protocol):
    """A forked child that may be recorded itself."""

    def make_recording(self) -> ForkRecording:
        """Make its recorder."""

    def release(self) -> None:
        """Its file is closed."""

    def how_it_ended(self) -> Ending:
        """Say how it ends, where nobody else does."""


class Lifecycle:
    """One recording, from the import of torch to the end of the process.

    Args:
        make_recording: Makes the recorder; called once torch has been imported, since that module needs it.
        listener: Told about faults and about the end.
        strict: Let our faults stop the script.
        release: Called when the file is closed.
        in_fork: Makes what records a forked child; None leaves forked children unrecorded.
        how_it_ended: Says at the end of the process how it ends, where nobody calls ``script_ended``.
    """

    def __init__(
        self,
        make_recording: Callable[[], Recording],
        listener: Listener,
        strict: bool = False,
        release: Callable[[], None] | None = None,
        in_fork: Callable[[], Process] | None = None,
        how_it_ended: Callable[[], Ending] | None = None,
    ) -> None:
        self._release = release
        self._in_fork = in_fork
        self._how_it_ended = how_it_ended
        self._make_recording = make_recording
        self._listener = listener
        self._strict = strict
        self._pid = Original.getpid()
        self._signals = QuietSignals(self._on_signal, _FATAL_SIGNALS)
        self._trigger = AfterImport("torch", self._begin)
        self._recording: Recording | None = None
        self._raised: Exception | None = None
        self._ending: Ending | None = None
        self._is_over = False
        self._exit_functions_ran = False

    def arm(self) -> None:
        """Prepare for every end, then wait for torch. Call it in the main thread, right before the script starts."""
        atexit.register(self._at_exit)
        self._signals.attach()
        os._exit = self._finishing(os._exit)
        for name in ("execv", "execve"):  # the others of their kind call these
            setattr(os, name, self._replacing(f"os.{name}", getattr(os, name)))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_forked_child)
        self._trigger.arm()

    def withdraw(self) -> bool:
        """Leave this process, and those that it forks, to another recording; return whether that can be: where this one has not begun."""
        if self._recording is not None or self._raised is not None:
            return False
        self._is_over = True
        self._in_fork = None
        self._trigger.disarm()
        self._signals.release()
        atexit.unregister(self._at_exit)
        return True

    def script_ended(self, ending: Ending) -> None:
        """Remember how the script ended; the file is closed once threads and exit functions are through."""
        self._ending = ending
        if self._exit_functions_ran:
            atexit.register(self._at_exit)  # the script ran them all itself, which forgets them

    def leave(self, ending: Ending) -> None:
        """Close the recording and end the process at once: for a script whose threads and exit functions nobody waits for."""
        self._end(ending)
        os._exit(ending.exit_status or 0)

    def _begin(self) -> None:
        """Torch has been imported."""
        if Original.getpid() != self._pid or self._is_over:
            return
        with self._failing_open(), ours():
            recording = self._make_recording()
            recording.install()
            self._recording = recording
            # The recorder has imported libraries that clean up at exit (h5py gives up its type converters): ours must run before theirs.
            atexit.unregister(self._at_exit)
            atexit.register(self._at_exit)

    def _at_exit(self) -> None:
        self._exit_functions_ran = True
        if self._ending is None and self._how_it_ended is not None:
            self._end(self._how_it_ended())
        elif self._ending is not None:
            self._end(self._ending)
            if self._ending.status == "interrupted":
                _remind_of_interrupt()
        elif self._recording is not None and Original.getpid() == self._pid:
            with self._failing_open():
                self._recording.flush()

    def _end(self, ending: Ending, hurried: bool = False) -> None:
        """Close the recording, once, in the process that opened it."""
        if Original.getpid() != self._pid or self._is_over:
            return
        self._is_over = True
        self._trigger.disarm()
        with _signals_held():
            if self._recording is not None:
                try:
                    self._recording.finish(ending)
                except Exception as error:
                    self._listener.fault(error)
            if self._release is not None:
                self._release()
            if self._recording is None and self._raised is not None:
                self._leave_alone(ending, self._raised)
            elif self._recording is not None and not self._recording.has_recorded:
                self._leave_alone(ending, self._recording.refusal)
            else:
                with ours():
                    self._listener.ended(ending, self._recording is not None, hurried)

    def _leave_alone(self, ending: Ending, refusal: Exception | None) -> None:
        is_swallowed = refusal is not None and ending.detail != endings.describe(refusal)
        self._listener.left_alone(refusal if is_swallowed else None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        ending = endings.from_signal(number)
        if self._ending is not None and self._ending.status != "finished":
            # A script that failed, and waits for its threads, has ended by that; one that came to its end may still train in them.
            ending = replace(self._ending, exit_status=ending.exit_status)
        self._end(ending, hurried=True)
        Original.set_signal(number, signal.SIG_DFL)
        Original.kill(Original.getpid(), number)

    def _finishing(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def _exit(status: int) -> None:
            # How the processes of multiprocessing end that are forked, those that went well too.
            is_plain = self._how_it_ended is not None and status == 0
            self._end(endings.finished() if is_plain else endings.from_os_exit(status), hurried=True)
            original(status)

        return _exit

    def _replacing(self, name: str, original: Callable[..., Any]) -> Any:
        """A script that is replaced by another program keeps what was recorded until then; its user learns of either."""

        @functools.wraps(original)
        def execute(path: Any, *arguments: Any, **options: Any) -> Any:
            if Original.getpid() != self._pid or self._is_over or not _can_be_started(path):
                return original(path, *arguments, **options)
            with self._failing_open(), ours():
                if self._recording is not None:
                    self._recording.leave_off(self._ending_before(name))
                self._listener.replaced(name, self._recording is not None and self._recording.has_rows)
            try:
                return original(path, *arguments, **options)
            finally:  # it was not: the script goes on
                with self._failing_open(), ours():
                    if self._recording is not None:
                        self._recording.leave_off(None)
                    self._listener.not_replaced()

        return execute

    def _ending_before(self, call: str) -> Ending:
        """Say how a script ends that is replaced by another program: where that is done as python ends, by what ended it before."""
        known = self._ending
        if known is None and self._how_it_ended is not None:
            known = self._how_it_ended()
            if known.status not in ("crashed", "interrupted"):
                known = None  # it is not at its end, as far as anybody can tell
        replaced = endings.from_replacement(call)
        return replace(known, exit_status=replaced.exit_status) if known is not None else replaced

    def _in_forked_child(self) -> None:
        """Leave the parent's file alone, and die of a signal as a child without us would."""
        before = self._recording
        if before is not None:
            before.abandon()
            self._recording = None
        self._is_over = True
        self._trigger.disarm()
        self._signals.release()
        if self._in_fork is not None:
            self._record_fork(self._in_fork(), before)

    def _record_fork(self, process: Process, before: Recording | None) -> None:
        """Record this forked child as a process of its own; ``before`` knows what its parent had built."""

        def make() -> Recording:
            recording = process.make_recording()
            if before is not None:
                recording.take_over(before)
            return recording

        self._make_recording, self._listener, self._release = make, process, process.release
        self._how_it_ended = process.how_it_ended
        self._ending, self._is_over, self._exit_functions_ran = None, False, False
        self._pid = Original.getpid()
        self._signals.attach()
        self._trigger = AfterImport("torch", self._begin)
        self._trigger.arm()

    @contextmanager
    def _failing_open(self) -> Iterator[None]:
        """A fault of ours becomes one message, and the training goes on; unless it was asked to be strict, or where to go on."""
        try:
            yield
        except Exception as error:
            if self._strict or isinstance(error, ResumeError):
                self._raised = error
                raise
            self._listener.fault(error)


def _can_be_started(path: Any) -> bool:
    """Whether a path is a program: who looks for one in many folders asks the system for each."""
    try:
        return isinstance(path, int) or (os.path.isfile(path) and os.access(path, os.X_OK, effective_ids=_ASKS_AS_EXEC))
    except (TypeError, ValueError):
        return False


def _remind_of_interrupt() -> None:
    """Let the interpreter die of SIGINT, as it does after an uncaught KeyboardInterrupt.

    It keeps a note of that exception which any ``exec`` of a string since then has wiped, the imports of our last words included
    (CPython's run_eval_code_obj); raising one in an ``exec`` writes the note anew.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let the file be closed before a signal ends the process; if another comes meanwhile, wait no longer.

    Ctrl-C is dropped: the process is on its way out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before: dict[int, Any] = {}

    def hold(number: int, frame: FrameType | None) -> None:
        if pending:
            Original.set_signal(number, signal.SIG_DFL)
            Original.kill(Original.getpid(), number)
        pending.append(number)

    for number in [signal.SIGINT, *_FATAL_SIGNALS]:
        handler = Original.getsignal(number)
        if handler not in (signal.SIG_IGN, None):
            before[number] = handler
            Original.set_signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            Original.set_signal(number, handler)
        for number in pending:
            if number != signal.SIGINT:
                Original.kill(Original.getpid(), number)
