"""TensorBoard: an event file in a folder of the run's name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnprobe.integrations.libraries import required

EXTRA = "bnprobe[export]"


class TensorBoard:
    """Writes an event file with TensorBoard's own writer.

    Args:
        folder: of the event file.
    """

    def __init__(self, folder: Path) -> None:
        self._event = required("tensorboard.compat.proto.event_pb2", EXTRA).Event
        self._summary = required("tensorboard.compat.proto.summary_pb2", EXTRA).Summary
        self._tensor = required("tensorboard.util.tensor_util", EXTRA).make_tensor_proto
        self._text = required("tensorboard.plugins.text.metadata", EXTRA).create_summary_metadata
        self._writer = library().EventFileWriter(str(folder))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the scalars of one step."""
        self._add(step, [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])

    def finding(self, step: int, name: str, text: str) -> None:
        """Write a finding as text."""
        self._add(step, [self._summary.Value(tag=f"bnprobe/{name}", tensor=self._tensor(text), metadata=self._text(name, ""))])
        self._writer.flush()

    def close(self, verdict: str) -> None:
        """Write the verdict and close the file."""
        self.finding(0, "verdict", verdict)
        self._writer.close()

    def _add(self, step: int, values: list[Any]) -> None:
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=values)))


def library() -> Any:
    """Return the module that writes event files."""
    return required("tensorboard.summary.writer.event_file_writer", EXTRA)


def begin(where: str, name: str) -> TensorBoard:
    """Begin a run in ``where`` (runs), under its name."""
    return TensorBoard(Path(where or "runs") / name)
