"""Where it began: the rank and layer that deviated first, and the rank whose own numbers were first not finite.

An all-reduce spreads one rank's NaN to all, a step before every rank's weights are lost. What a rank computed by itself tells who began it:
its loss, its signals and their gradients, and the gradients of parameters before the average.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnprobe.analyse import stability
from bnprobe.analyse.layers import described
from bnprobe.analyse.views import RunView
from bnprobe.diagnose.ranks.remark import Remark
from bnprobe.diagnose.ranks.standing import named, number_of
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run


@dataclass(frozen=True)
class Origin:
    """Where something that a rank computed by itself was first not finite.

    Attributes:
        step: the optimizer step.
        what: "loss", "activation" or "gradient".
        layer: the deepest layer whose gradient was not finite, or the first whose signal was not; "" where it is not known.
        clean: the layer behind it, whose gradient was finite; "" where there is none, or it is not known.
    """

    step: int
    what: str
    layer: str = ""
    clean: str = ""

    def __str__(self) -> str:
        """Say it."""
        where = f" at {self.layer}" if self.layer else ""
        behind = f", finite at {self.clean} behind it" if self.clean else ""
        return f"{self.what} not finite at step {self.step:,}{where}{behind}"


def first_nonfinite(run: RunView) -> Origin | None:
    """Find where something of one rank was first not finite; None where it never was."""
    skipped = {int(step) for step in run.step[run.skipped == 1]}  # a gradient scaler that looks for its scale: no harm was done
    every = [*_signals(run), *_gradients(run), *_told(run, "local_nonfinite"), *_losses(run)]
    found = [one for one in every if one.step not in skipped]
    # Within a step the forward comes before the backward, and a layer that is known before one that is not.
    order = {"activation": 0, "loss": 1, "gradient": 2}
    return min(found, key=lambda one: (one.step, order[one.what], not one.layer), default=None)


def who_began(run: Run, origins: Sequence[Origin | None]) -> Iterator[Remark]:
    """Say which rank began it, where others were still clean."""
    known = [(number_of(rank), origin) for rank, origin in zip(run.ranks, origins, strict=True) if origin is not None]
    if not known:
        return
    first = min(origin.step for _, origin in known)
    began = [(number, origin) for number, origin in known if origin.step == first]
    clean = [number_of(rank) for rank in run.ranks if number_of(rank) not in [number for number, _ in began]]
    if not clean:
        text = f"On all {len(run.ranks)} ranks something was first not finite at step {first:,}; on rank {began[0][0]}: {began[0][1]}."
        yield Remark("first-nonfinite", "info", text)
        return
    if len(began) == 1:
        number, origin = began[0]
        text = f"Rank {number} began it: {origin}, while {named(clean)} {'was' if len(clean) == 1 else 'were'} finite"
    else:
        text = f"{named([number for number, _ in began]).capitalize()} began it at step {first:,} ({began[0][1]}), the others were finite"
    text = f"{text}. Averaging gradients spreads it to all."
    yield Remark("first-nonfinite", "error", text, "look at the batch of that rank at that step")


def deviated_first(ranks: Sequence[RunAnalysis]) -> Iterator[Remark]:
    """Say on which rank and in which layer the training deviated from its baseline first."""
    found = [(number_of(run.recorded), run.place(one.layer), one.step) for run in ranks if (one := run.first_deviation) is not None]
    if not found:
        return
    step = min(one[2] for one in found)
    first = [one for one in found if one[2] == step]
    if len(first) == len(ranks) and len({name for _, name, _ in first}) == 1:
        text = f"All {len(ranks)} ranks deviated from their baseline together, at step {step:,} in {first[0][1]}."
    else:
        text = f"{named([number for number, _, _ in first]).capitalize()} deviated first, at step {step:,} in {first[0][1]}"
        later = [one for one in found if one[2] > step]
        rest = min((one[2] for one in later), default=None)
        text += f"; the others from step {rest:,} on." if rest is not None else "; no other did."
    yield Remark("deviated-first", "info", text)


def _signals(run: RunView) -> Iterator[Origin]:
    counts = run.activation.nonfinite
    rows = np.flatnonzero((counts > 0).any(axis=1))
    if rows.size:
        layer = int(np.flatnonzero(counts[rows[0]] > 0)[0])
        yield Origin(int(run.step[rows[0]]), "activation", described(run.layers[layer]))


def _gradients(run: RunView) -> Iterator[Origin]:
    """From the gradients of signals, which are a rank's own, and from those of parameters before the average, at measured steps."""
    counts = run.activation_gradient.nonfinite
    rows = np.flatnonzero((counts > 0).any(axis=1))
    if rows.size:
        bad = np.flatnonzero(counts[rows[0]] > 0)
        deeper = [layer for layer in np.flatnonzero(counts[rows[0]] == 0) if layer > bad[-1]]
        yield Origin(int(run.step[rows[0]]), "gradient", described(run.layers[bad[-1]]), described(run.layers[deeper[0]]) if deeper else "")
    norms = run.parameter_local_gradient_norm
    rows = np.flatnonzero(np.isinf(norms).any(axis=1))
    if rows.size:
        bad = np.flatnonzero(np.isinf(norms[rows[0]]))
        fine = [place for place in np.flatnonzero(np.isfinite(norms[rows[0]])) if place > bad[-1]]
        names = [parameter.layer or parameter.name for parameter in run.parameters]
        behind = next((names[place] for place in fine if names[place] != names[bad[-1]]), "")
        yield Origin(int(run.step[rows[0]]), "gradient", names[bad[-1]], behind)


def _losses(run: RunView) -> Iterator[Origin]:
    finite = np.isfinite(run.loss)
    if not finite.all() and (told := _read(run, "nonfinite_origin")) and told.get("kind") in ("operation", "data", "parameter"):
        yield Origin(int(told["step"]), "loss", str(told.get("layer", "")))
    rows = np.flatnonzero(np.isinf(run.loss) | (~finite & stability.nan_is_real(run, finite)))
    if rows.size and finite[: rows[0]].any():
        yield Origin(int(run.step[rows[0]]), "loss")


def _told(run: RunView, attribute: str) -> Iterator[Origin]:
    """From what was noted at a step that was not measured: of a few parameters alone, so that no layer follows."""
    told = _read(run, attribute)
    if told:
        is_exact = bool(told.get("is_exact"))
        names = (str(told.get(key, "")) if is_exact else "" for key in ("layer", "clean"))
        yield Origin(int(told["step"]), "gradient", *names)


def _read(run: RunView, attribute: str) -> dict[str, Any]:
    try:
        told = json.loads(str(run.attributes.get(attribute, "")))
        return told if isinstance(told, dict) and isinstance(told.get("step"), int) else {}
    except ValueError:
        return {}
