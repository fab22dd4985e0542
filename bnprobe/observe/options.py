"""What a recording was asked to do, and what it says while it runs.

This file knows neither torch nor numpy: the command line reads it before the user's script has had its say about either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The figures of ``--figures``, in the order in which they are told; "ubn" is all of them.
FIGURES = ("init", "tails", "line", "update", "logits", "coherence", "noise", "jacobian")
#: Steps of ``--what-if auto``: limits found in so many were those of 500 steps far more often than in 60, and hardly less than in 200
#: (docs/what-if.md).
WHAT_IF_STEPS = 120
#: Fewer steps say nothing about a rate; ``lr-limit`` asks for as many.
FEWEST_WHAT_IF_STEPS = 20


@dataclass(frozen=True)
class RecordOptions:
    """The settings of one recording.

    Attributes:
        every: Measure every n-th optimizer step; 1 measures each.
        max_steps: End the run cleanly after this many optimizer steps; None lets the script decide.
        stop_when_diverged: End the run as soon as it has diverged, see ``bnprobe.divergence``.
        strict: Raise a fault inside a hook instead of switching that layer off with a warning.
        budget: Share of the training time that the recorder may take, dimensionless (0.05 is 5 %); what it does at steps that it does not
            measure comes first, and half is for measuring in any case.
        free_seconds: Measuring, in seconds, that may be done before the budget counts: a short training that dies is seen whole.
        curvature: Measure the curvature of the loss at every n-th step; None measures none.
        curvature_kernels: "script" leaves the script's kernels alone; "math" switches attention, recurrent layers and compiled code to
            kernels that have a second derivative, at the steps of a probe, which changes low-order bits.
        curvature_reruns: Measure it also where that runs code of the script again: autograd functions of its own, checkpointed blocks.
            That code sees it, and what it changes may change the training.
        line_probe: Follow the update of every n-th step further than the optimizer went; "auto" chooses the steps; None does not.
        line_probe_channels: Measure every channel at every point of a line probe.
        audit: At every n-th step compute the forward again as evaluation would, and with one sample exchanged; "auto" chooses the steps.
        figures: Which figures of "Understanding Batch Normalization" to measure for.
        figures_at: The steps at which they are measured, and "trouble" for those at which it shows; the line along an update also at
            mini-batches 1, 4 and 7, and when trouble shows.
        what_if: Put so many steps on a tape and train them again when the training is over; None does not.
        what_if_from_here: Tape one stretch after the other until the training diverges, and train the last one again, too.
        what_if_remedies: Remedies to try on that, each as typed after ``--remedy``; empty for the usual ones.
        what_if_memory: Bytes that all of that may take beside the recording, and the file of tapes.
        keep_tapes: Write the tapes beside the run file, for later questions.
        remedies: Remedies to apply to the training, as typed after ``--remedy``, in order.
        keep: How many of the last steps keep all their detail, while older ones are thinned (``store/keeping.py``); None keeps everything.
        resume: Go on in the run file, which a recording of the same training made before it was started again.
        resume_at: The step that the checkpoint goes on with, counted from 0; None to find it out.
        compared: Keep what a comparison of trainings asks for: what the script's evaluations say, and what a step costs.
    """

    every: int = 1
    max_steps: int | None = None
    stop_when_diverged: bool = False
    strict: bool = False
    budget: float = 0.05
    free_seconds: float = 2.0
    curvature: int | None = None
    curvature_kernels: str = "script"
    curvature_reruns: bool = False
    line_probe: int | Literal["auto"] | None = None
    line_probe_channels: bool = False
    audit: int | Literal["auto"] | None = None
    figures: tuple[str, ...] = ()
    figures_at: tuple[int | Literal["trouble"], ...] = (0,)
    what_if: int | None = None
    what_if_from_here: bool = False
    what_if_remedies: tuple[str, ...] = ()
    what_if_memory: int = 2 * 2**30
    keep_tapes: bool = False
    remedies: tuple[str, ...] = ()
    keep: int | None = None
    resume: bool = False
    resume_at: int | None = None
    compared: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a recorded training stands after one optimizer step.

    Attributes:
        step: Number of the step, counted from 0.
        loss: Loss of the step, in the script's own unit; NaN if it was not seen.
        learning_rate: Learning rate of the first parameter group; NaN if there is none.
        worst_layer: Name of the layer that has deviated furthest from its first step, or "" as long as there is none.
        worst_value: How far it has deviated: log10 of its activation rms over that of its first step.
        overhead: Share of the time so far that measuring took, dimensionless.
        message: A sentence that deserves a line of its own ("loss is not finite at step 12"), or "".
    """

    step: int
    loss: float
    learning_rate: float
    worst_layer: str
    worst_value: float
    overhead: float
    message: str


class StopTraining(BaseException):
    """Raised out of the optimizer step to end the script once ``--max-steps`` is reached.

    It is no ``Exception``, so that a script's own ``except Exception`` does not carry on training.
    """
