"""Where a training that was started again, from a checkpoint, goes on in its run file.

A checkpoint says nothing to us of its step. Three things do, and are asked in this order:

1. ``given``: the user, with ``--resume-at``.
2. ``weights``: at a measured step the norm of every parameter before the update was recorded; where those of the loaded weights are equal
   to all of them, the checkpoint is of that step.
3. ``optimizer``: Adam and its like count their updates, in their state, which a checkpoint holds; an update was made at every step, those
   that nobody recorded included, that no gradient scaler skipped.

Where none of them speaks, numbers go on after the last recorded step, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.errors import ResumeError
from bnprobe.measure.host_memory import copied
from bnprobe.measure.norms import norms
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.observe.axes.earlier_models import first_of_name, models_of_parameters
from bnprobe.store.earlier import Earlier

#: Norms in float32 that differ by no more than this, relatively, are equal: sums may be taken in another order on another machine.
EQUAL = 4e-7
#: Parameters of which norms have to be known for their equality to mean something. The norm of one may be what it is at every step.
FEWEST_NORMS = 2


class Start(NamedTuple):
    """Where the training goes on.

    Attributes:
        step: number of the step that is open.
        known_by: given, weights, optimizer, or none of them.
    """

    step: int
    known_by: str


class Here(NamedTuple):
    """A parameter that this start trains.

    Attributes:
        name: its name in the file; of several with one name, the first's.
        shape: as text.
        owner: the module that it belongs to.
        is_known: whether the file has its model.
    """

    name: str
    shape: str
    owner: str
    is_known: bool


def start_of(
    earlier: Earlier,
    given: int | None,
    parameters: Mapping[str, torch.Tensor],
    optimizers: Sequence[Optimizer],
    *,
    is_one_of_many: bool,
    moved: bool = False,
) -> Start:
    """Say at which step a training goes on.

    Args:
        earlier: what stands in the run file.
        given: what the user says.
        parameters: those that the optimizers train, by their name in the file.
        optimizers: those of the script.
        is_one_of_many: whether this is one of several ranks, all of which have to come to the same answer.
        moved: whether its first update has been made already.

    Raises:
        ResumeError: ranks do not know it: where their files end differs, and so would their numbers.
    """
    if given is not None:
        return Start(given, "given")
    counted = _step_of_counts(earlier, _counts(optimizers), moved=moved)
    same = _steps_of_weights(earlier, {} if moved else parameters)
    if same.size:
        # Weights that stood still, as at updates that were skipped, fit several steps: the optimizer knows, or the last of them it is.
        return Start(counted if counted is not None and counted in same.tolist() else int(same[-1]), "weights")
    if counted is not None:
        return Start(counted, "optimizer")
    if is_one_of_many:
        raise ResumeError(
            f"{earlier.path} does not tell at which step this checkpoint goes on, and the files of other ranks may end elsewhere",
            "say it with --resume-at STEP",
        )
    return Start(earlier.last_step + 1, "none of them")


def check_structure(earlier: Earlier, trained: Sequence[Here], present: Iterable[str], *, is_whole: bool = True) -> None:
    """Make sure that these are the models of the run file, as far as they are there: some are called, or even built, only later.

    Args:
        earlier: what stands in the run file.
        trained: the parameters that the optimizers train.
        present: names of all parameters that the script's models have, trained or not.
        is_whole: whether the optimizers train nothing else, which may be a model of the file that was not called yet.

    Raises:
        ResumeError: a parameter has another shape, is new in a layer that was never seen, or is gone.
    """
    known: dict[str, list[str]] = {}
    for name, shape in zip(earlier.parameters, earlier.parameter_shapes, strict=True):
        known.setdefault(first_of_name(name), []).append(shape)
    layers = {first_of_name(name) for name in earlier.layers} | set(earlier.parameter_layers)
    is_another = is_whole and not any(one.is_known for one in trained)
    for one in trained:
        shapes = known.get(one.name, [])
        if shapes and one.shape not in shapes and (one.is_known or is_another):
            raise ResumeError(*_refusal(earlier, f"{one.name} is {one.shape} here and {shapes[0]} there"))
        if known and not shapes and one.owner not in layers and (one.is_known or is_another):
            raise ResumeError(*_refusal(earlier, f"{one.name} is not there"))
    here, models = set(present), models_of_parameters(earlier)
    models_here = {model for name, model in zip(earlier.parameters, models, strict=True) if name in here}
    for name, layer, model in zip(earlier.parameters, earlier.parameter_layers, models, strict=True):
        if layer and "~" not in name and model is not None and model in models_here and name not in here:
            raise ResumeError(*_refusal(earlier, f"{name} is not here"))


def _refusal(earlier: Earlier, difference: str) -> tuple[str, str]:
    return f"{earlier.path} is the recording of another model: {difference}", "record this one to a file of its own with -o"


def _counts(optimizers: Sequence[Optimizer]) -> list[int]:
    """Return how many updates each optimizer counts; 0 where it does not count."""
    counts: list[int] = []
    for optimizer in optimizers:
        states: Any = getattr(optimizer, "state", {})
        own = [states.get(parameter, {}).get("step") for parameter in trained_parameters(optimizer.param_groups) if parameter in states]
        counts.append(max((int(count) for count in own if isinstance(count, int | float | torch.Tensor)), default=0))
    return counts


def _step_of_counts(earlier: Earlier, counts: Sequence[int], *, moved: bool) -> int | None:
    """Return the step before which optimizers made the updates that they count; None where that does not tell it."""
    moves = earlier.moves[earlier.moves.any(axis=1)]
    if moves.all():  # one optimizer, or several that move together
        known = set(counts)
        return _after_updates(earlier, known.pop() - moved) if len(known) == 1 and 0 not in known else None
    if moved or not any(counts) or not np.array_equal(np.sort(earlier.steps), np.arange(len(earlier.moves))):
        return None  # where some moved is not known of every step
    made, wanted = np.sort(np.cumsum(earlier.moves, axis=0), axis=1), sorted(count for count in counts if count)
    wanted = [0] * (made.shape[1] - len(wanted)) + wanted
    fits = np.flatnonzero((made == wanted).all(axis=1)) if len(wanted) == made.shape[1] else made[:0]
    return int(fits[0]) + 1 if len(fits) else None


def _after_updates(earlier: Earlier, updates: int) -> int | None:
    """Return the step before which so many updates were made: one a step, recorded or not, but for those known to be skipped."""
    if not earlier.steps.size or earlier.steps.min() != 0:
        return None
    last = updates - 1  # the step of the last update
    for step in np.sort(earlier.steps[earlier.skipped]).tolist():
        if step > last:
            break
        last += 1
    return last + 1


def _steps_of_weights(earlier: Earlier, parameters: Mapping[str, torch.Tensor]) -> NDArray[np.int64]:
    """Return the measured steps before whose update all weights were as long as they are now."""
    places = {name: place for place, name in enumerate(earlier.parameters)}
    names = [name for name in parameters if name in places]
    if not names or not earlier.weight_steps.size:
        return earlier.weight_steps[:0]
    now = copied(norms([parameters[name] for name in names]), torch.float64)
    then = earlier.weight_norms[:, [places[name] for name in names]].astype(np.float64)
    comparable = np.isfinite(then) & np.isfinite(now)
    with np.errstate(invalid="ignore"):
        equal = np.abs(then - now) <= EQUAL * np.abs(now)
    same = (equal | ~comparable).all(axis=1) & (comparable.sum(axis=1) >= min(FEWEST_NORMS, len(names)))
    return np.sort(earlier.weight_steps[same])
