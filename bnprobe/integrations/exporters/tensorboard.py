"""Scalars for TensorBoard: the loss, the rates, and what was measured of every layer and parameter, at the run's own step numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.text import verdict_line
from bnprobe.integrations.libraries import required
from bnprobe.integrations.tables import table
from bnprobe.store.reader import Run

#: Tables whose columns become scalars, with the column that names whose they are.
_SERIES = {"groups": "group", "layers": "layer", "parameters": "parameter"}
#: Columns that say what a row is of, and what is no quantity of the training.
_NO_SCALARS = {"step", "depth", "kind", "layers_observed", "wall_time"}


def write(run: Run, folder: Path) -> list[Path]:
    """Write one event file."""
    extra = "bnprobe[export]"
    writer_of = required("tensorboard.summary.writer.event_file_writer", extra).EventFileWriter
    event_of = required("tensorboard.compat.proto.event_pb2", extra).Event
    summary = required("tensorboard.compat.proto.summary_pb2", extra)
    tensor_of = required("tensorboard.util.tensor_util", extra).make_tensor_proto
    text_metadata = required("tensorboard.plugins.text.metadata", extra).create_summary_metadata
    began, offsets = _began(run), dict(zip(run["step"].tolist(), np.nan_to_num(run["wall_time"]).tolist(), strict=True))
    writer = writer_of(str(folder))
    for step, values in _by_step(run):
        scalars = [summary.Summary.Value(tag=tag, simple_value=value) for tag, value in values]
        writer.add_event(event_of(wall_time=began + offsets.get(step, 0.0), step=step, summary=summary.Summary(value=scalars)))
    verdict = summary.Summary.Value(
        tag="bnprobe/verdict", tensor=tensor_of(verdict_line(diagnose(run))), metadata=text_metadata("bnprobe", "the diagnosis")
    )
    last = int(run["step"][-1]) if run.steps else 0
    writer.add_event(event_of(wall_time=began, step=last, summary=summary.Summary(value=[verdict])))
    writer.close()
    return sorted(folder.iterdir())


def _by_step(run: Run) -> Iterator[tuple[int, list[tuple[str, float]]]]:
    """Every scalar of every step, in order; a value that was not observed is none."""
    found: dict[int, list[tuple[str, float]]] = {int(step): [] for step in run["step"]}
    for name, column in table(RunView.of(run), "steps").items():
        if name not in _NO_SCALARS:
            for step, value in zip(run["step"].tolist(), column.tolist(), strict=True):
                if value == value and not (column.dtype.kind == "i" and value == -1):
                    found[step].append((f"training/{name}", float(value)))
    for which, owner in _SERIES.items():
        columns = table(run, which)
        for name in [name for name in columns if name not in {owner, *_NO_SCALARS}]:
            for step, whose, value in zip(columns["step"].tolist(), columns[owner].tolist(), columns[name].tolist(), strict=True):
                if value == value:
                    found[step].append((f"{name}/{whose}", float(value)))
    yield from sorted(found.items())


def _began(run: Run) -> float:
    """When recording began, seconds since the epoch; 0 where the file does not say."""
    try:
        return datetime.fromisoformat(str(run.attributes.get("created", ""))).timestamp()
    except ValueError:
        return 0.0
