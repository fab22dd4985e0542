"""The writing side of the run file.

Rows are kept in memory and appended in bursts, each of which arrives whole or not at all (``journal``). A SIGKILL costs the rows since the
last burst, a full disk costs nothing while the rows find room in memory, and a forked child has nothing to corrupt.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnprobe.errors import RunFileError
from bnprobe.originals import Original
from bnprobe.store.axis import Row
from bnprobe.store.hdf5_session import Attribute, Hdf5Session, create_run_file
from bnprobe.store.in_memory import InMemory
from bnprobe.store.schema import CONVENTIONS, STEP_OF
from bnprobe.store.thinning import thin
from bnprobe.store.uninterrupted import uninterrupted
from bnprobe.store.unlogged import unlogged

if TYPE_CHECKING:
    from bnprobe.store.earlier import Earlier

BURST_ROWS = 64
BURST_SECONDS = 2.0
#: Where a burst costs little, whoever looks at the file while it is written need not wait for so long.
BURST_SOONEST = 0.5
#: Share of the time that bursts may take before they have to be made.
BURST_SHARE = 0.002
#: A burst is in memory several times while it is made: wide rows are written before they take more than this, whatever the time.
BURST_BYTES = 8 * 2**20
_RECOVERED_NAMES = 100


class RunWriter:
    """Writes one run file, in bursts. To be used by one thread at a time, and only in the process that made it.

    Args:
        path: the file; its folder must exist. None: all is kept in memory until ``place`` names it.
        attributes: root attributes (provenance). ``status`` is set to "running".
        overwrite: replace an existing file.
        keep: thin the detail of older steps as the file grows: how many of the last steps keep all (``keeping``); None keeps everything.
        earlier: what stands in the file already, to go on with it. It stays as it is until ``begin_resumption`` was called.

    Raises:
        RunFileError: the file exists and ``overwrite`` is false, or it cannot be created.
    """

    def __init__(
        self,
        path: Path | None,
        attributes: Mapping[str, Attribute],
        *,
        overwrite: bool = False,
        keep: int | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self.path = Path()
        self.closed = False
        self._memory = InMemory({"Conventions": CONVENTIONS, **attributes, "status": "running"})
        self._last_burst = Original.monotonic()
        self._burst_seconds = 0.0
        self._told = False
        self._owner = Original.getpid()
        self._lock = threading.RLock()
        self._session: Hdf5Session | None = None
        self._end: int | None = None
        self._keep = keep
        #: Rows of the step axis from which on the file is thinned: twice as many as were left the last time, so that a step costs the same.
        self._rows_to_thin = 2 * keep if keep is not None else None
        self._earlier, self._is_waiting = earlier, earlier is not None
        if earlier is not None:
            self.path, self._end = earlier.path, earlier.path.stat().st_size
            self._memory.go_on_with(earlier)
        elif path is not None:
            self.place(path, overwrite=overwrite)

    def place(self, path: Path, *, overwrite: bool = True) -> None:
        """Make the file.

        Raises:
            RunFileError: it exists and ``overwrite`` is false, or it cannot be created.
        """
        self.path = Path(path)
        with uninterrupted(), unlogged():
            self._end = create_run_file(self.path, self._memory.attributes, overwrite=overwrite)

    # -- what is recorded ---------------------------------------------------------------------------------------------

    @property
    def layer_count(self) -> int:
        """Number of layers defined so far."""
        return self._memory.length("layer")

    @property
    def parameter_count(self) -> int:
        """Number of parameters defined so far."""
        return self._memory.length("parameter")

    @property
    def step_count(self) -> int:
        """Number of steps so far, those included that are not on disk."""
        return self._memory.length("step")

    def set_attribute(self, name: str, value: Attribute) -> None:
        """Set a root attribute, written with the next burst."""
        self._memory.set_attribute(name, value)

    def begin_resumption(self, step: int, known_by: str) -> None:
        """Say at which step the training goes on with what stands in the file; from now on it is written to.

        Args:
            step: the first step that is recorded now. Rows of it and of later steps that the file has are void.
            known_by: how it is known.
        """
        earlier = self._earlier
        if earlier is None or not self._is_waiting:
            return
        self._is_waiting = False
        for name, value in earlier.notes_from(step).items():
            self.set_attribute(name, value)
        self.set_attribute("status", "running")
        self.set_attribute("ending", "")
        self.set_attribute("exit_status", -1)
        self.set_attribute("pid", self._memory.attributes.get("pid", self._owner))
        seconds = earlier.seconds_since(self._memory.attributes.get("created", ""))
        self._add_resumption(step, earlier.last_step, known_by, seconds, str(earlier.attributes.get("status", "unknown")), earlier.lengths)

    def begin_again(self, step: int) -> None:
        """Take back what was written of a step, the last one, as if the script ended in it: the script goes on there."""
        self._add_resumption(step, step, "given", 0.0, "exited", self._memory.lengths())

    def _add_resumption(self, step: int, before: int, known_by: str, seconds: float, ended: str, lengths: Mapping[str, int]) -> None:
        columns = {
            "resumption_step": step,
            "resumption_before": before,
            "resumption_known_by": known_by,
            "resumption_created": self._memory.attributes.get("created", ""),
            "resumption_seconds": seconds,
            "resumption_command": self._memory.attributes.get("command", ""),
            "resumption_ended": ended,
            **{f"resumption_rows_{axis}": lengths[axis] for axis in STEP_OF},
        }
        self.add_rows("resumption", 1, columns)

    def add_layer(self, *, channels: int, **columns: Any) -> int:
        """Append a layer with its channels; return its index. ``columns`` are the schema's variables along ``layer``."""
        self._memory.append("layer", {**columns, "layer_channels": channels})
        return self.layer_count - 1

    def add_parameter(self, **columns: Any) -> int:
        """Append a parameter; return its index."""
        self._memory.append("parameter", columns)
        return self.parameter_count - 1

    def add_group(self, name: str) -> int:
        """Append a parameter group; return its index."""
        self._memory.append("group", {"group": name})
        return self._memory.length("group") - 1

    def add_event(self, step: int, kind: str, text: str) -> None:
        """Note something that happened at a step."""
        self.add_rows("event", 1, {"event_step": step, "event_kind": kind, "event_text": text})

    def add_coverage(self, subject: str, reason: str, count: int = 1) -> None:
        """Count something that could not be observed."""
        key = (subject, reason)
        self._memory.coverage[key] = self._memory.coverage.get(key, 0) + count

    @property
    def coverage(self) -> dict[tuple[str, str], int]:
        """How often what could not be observed, by subject and reason."""
        return dict(self._memory.coverage)

    def take_back_coverage(self, before: Mapping[tuple[str, str], int]) -> None:
        """Count as it was ``before``; what was counted since keeps its place in the file, and happened no time."""
        self._memory.coverage = {key: before.get(key, 0) for key in self._memory.coverage}

    def append_step(self, row: Row) -> None:
        """Append one step: scalars and one-dimensional arrays by variable name. What is absent is missing."""
        self._memory.append("step", row)

    def append_steps(self, count: int, columns: Row) -> None:
        """Append two or more steps: by variable name one value a step in a list or array, or what all of them have."""
        self._memory.append("step", columns, count)

    def append_snapshot(self, row: Row) -> None:
        """Append one snapshot of all channels."""
        self._memory.append("snapshot", row)

    def append_curvature(self, row: Row) -> None:
        """Append one probe of the curvature."""
        self._memory.append("curvature", row)

    def append_figure(self, row: Row) -> None:
        """Append what was measured of weights for the figures of a step."""
        self._memory.append("figure", row)

    def add_rows(self, dimension: str, count: int, columns: Row) -> None:
        """Append rows of an axis that holds one thing after another, and number them; a text only in a row by itself."""
        first = self._memory.length(dimension)
        if count == 1:
            self._memory.append(dimension, {dimension: first, **columns})
            return
        whole = {name: value if isinstance(value, np.ndarray) else [value] * count for name, value in columns.items()}
        self._memory.append(dimension, {dimension: np.arange(first, first + count), **whole}, count)

    def append_audit(self, row: Row) -> None:
        """Append one look at what normalisation costs."""
        self._memory.append("audit", row)

    def add_probe(self, points: Iterable[Row], **columns: Any) -> int:
        """Append a line probe with the points of its line; return its index. Both are given as the schema's variables."""
        probe = self._memory.length("probe")
        self.add_rows("probe", 1, columns)
        for point in points:
            self.add_rows("probe_point", 1, {"probe_point_probe": probe, **point})
        return probe

    def add_what_if(self, points: Iterable[Row], **columns: Any) -> int:
        """Append a training from tapes with its steps; return its index. Both are given as the schema's variables."""
        trial = self._memory.length("what_if")
        self.add_rows("what_if", 1, columns)
        for step, point in enumerate(points):
            self.add_rows("what_if_point", 1, {"what_if_point_trial": trial, "what_if_point_step": step, **point})
        return trial

    def add_what_if_layer(self, name: str) -> None:
        """Append a layer that trainings from tapes look at; before those trainings."""
        self._memory.append("what_if_layer", {"what_if_layer": name})

    # -- bursts -------------------------------------------------------------------------------------------------------

    def burst_if_due(self) -> bool:
        """Write when enough rows, bytes or time have gathered.

        Steps of a millisecond would have a burst every 64 of them cost more than they do: those wait for their time, unless they are
        many bytes.

        Returns:
            Whether everything is on disk.
        """
        if self._is_waiting:
            return False
        waited = Original.monotonic() - self._last_burst
        steps = self._memory.axes["step"]
        rows = 0 if self._told else steps.length - steps.written
        affordable = self._burst_seconds / BURST_SHARE
        large = rows * self._memory.row_bytes >= BURST_BYTES
        in_time = waited > min(BURST_SECONDS, max(BURST_SOONEST, affordable)) or (rows >= BURST_ROWS and waited > affordable)
        if not (large or in_time):
            return False
        began = Original.monotonic()
        written = self.burst()
        self._burst_seconds = Original.monotonic() - began
        return written

    def burst(self) -> bool:
        """Append all that waits to the file. On a fault keep it, tell the user once, and return False. A forked child does nothing."""
        if Original.getpid() != self._owner or self._end is None or self._is_waiting:
            return False
        fault = self._try_burst(closing=False)
        if fault is None:
            if self._told:
                self._say(f"{self.path} can be written again; nothing was lost")
                self._told = False
            if self._rows_to_thin is not None and self._memory.axes["step"].written >= self._rows_to_thin:
                self._thin()
            return True
        if not self._told:
            self._say(f"cannot write {self.path} now ({fault}); the recording is kept in memory and tried again")
            self._told = True
        self._memory.give_up_what_is_too_much()
        return False

    def close(self, **attributes: Attribute) -> Path:
        """Write what is left together with the closing attributes.

        Where the file cannot be written, what is still in memory goes to a file of its own, next to it or in the temporary folder.

        Returns:
            The file that holds it.
        """
        for name, value in attributes.items():
            self.set_attribute(name, value)
        if self.closed or Original.getpid() != self._owner or self._end is None:
            return self.path
        self.closed = True
        if self._is_waiting:
            return self.path  # no step was taken: the file stays as it was
        fault = self._try_burst(closing=True)
        return self.path if fault is None else self._spill(fault)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _try_burst(self, closing: bool) -> Exception | None:
        """Write all that waits; return what went wrong."""
        with self._lock, uninterrupted(), unlogged():
            self._last_burst = Original.monotonic()
            try:
                assert self._end is not None, "nothing is written before the file has its place"
                if self._session is None or not self._session.is_open:
                    self._session = Hdf5Session(self.path, self._end, self._memory.written_lengths())
                self._session.write(self._memory.lengths(), self._memory.blocks(), self._memory.new_attributes())
                self._end = self._session.end
            except Exception as error:  # h5py reports a failed read or write as almost anything
                # Its state is ahead of the disk's; the next burst begins from what is on disk.
                if self._session is not None:
                    self._session.discard()
                self._session = None
                return error
            self._memory.note_written()
            if closing:
                self._close_session()
        return None

    def _thin(self) -> None:
        """Write the file anew without the detail that is too old. Everything is on disk; what fails leaves the file as it is."""
        assert self._keep is not None
        rows = self._memory.axes["step"].written
        with self._lock, uninterrupted(), unlogged():
            self._close_session()
            try:
                thinned = thin(self.path, self._keep)
            except Exception as error:
                self.add_coverage("thinning of older steps", f"the run file could not be written anew: {str(error)[:200]}")
            else:
                self._end = thinned.end
                self._memory.note_thinned({name: thinned.lengths[name] for name in ("step", "snapshot", "passed")})
                rows = thinned.lengths["step"]
        self._rows_to_thin = 2 * max(rows, self._keep)

    def _close_session(self) -> None:
        """Close the HDF5 file. Everything is on disk already: a fault now costs nothing."""
        if self._session is not None:
            with contextlib.suppress(Exception):
                self._session.close()
            self._session = None

    def _spill(self, fault: Exception) -> Path:
        """Write what is in memory to a new file, because the run file cannot be written."""
        for folder in (self.path.parent, Path(tempfile.gettempdir())):
            for number in range(_RECOVERED_NAMES):
                suffix = f"-{number}" if number else ""
                target = folder / f"{self.path.stem}.recovered-{Original.getpid()}{suffix}.h5"
                if target.exists():
                    continue
                with contextlib.suppress(RunFileError):
                    rest = RunWriter(target, {**self._memory.attributes, "recovered_from": str(self.path)})
                    rest._memory.take_over(self._memory)
                    rest.closed = True
                    if rest._try_burst(closing=True) is None:
                        self._say(f"{self.path} could not be written ({fault}); what was still in memory is in {target}")
                        return target
                    target.unlink(missing_ok=True)
                break
        self._say(f"{self.path} could not be written ({fault}), and neither could a file beside it; its last rows are lost")
        return self.path

    @staticmethod
    def _say(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed or broken stderr is no reason to stop
            print(f"bnprobe: {text}", file=sys.stderr, flush=True)
