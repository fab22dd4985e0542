"""Questions asked of kept tapes, in another process and at another time: another rate, another remedy, another start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bnprobe.analyse.what_if import NONE, Refusal, RemedyAnswer, Retrained, WhatIf, what_if_of
from bnprobe.errors import UsageError
from bnprobe.observe.options import RecordOptions
from bnprobe.store.limits_file import grid_index_of
from bnprobe.store.reader import Run
from bnprobe.what_if.activations import Layers
from bnprobe.what_if.answers import Answering, Answers
from bnprobe.what_if.cycling import long_enough
from bnprobe.what_if.judging import Judge, Trial
from bnprobe.what_if.kept.arithmetic import difference, set_arithmetic
from bnprobe.what_if.kept.tape_file import read_tapes, tape_path
from bnprobe.what_if.program import Program
from bnprobe.what_if.remedy_edits import Built, RemedyEdits


def ask(
    run: Run,
    path: Path,
    rates: Sequence[float],
    remedies: Sequence[str],
    start: int | None,
    say: Callable[[str], None] = lambda text: None,
) -> WhatIf:
    """Train a kept stretch again.

    The settings of this process that decide how it rounds (threads, default type, kernels) become those of the recorded one.

    Args:
        run: the recording.
        path: its file; the tapes lie beside it.
        rates: to try, each the largest of any group; without one the limit of each remedy is searched for.
        remedies: each as in ``--remedy``, several joined by ``+``, or "none".
        start: the step from which on rates and remedies hold; None for the first of the tapes.
        say: told what is going on.

    Returns:
        The answers to these questions alone.

    Raises:
        UsageError: there are no tapes, or none of that step.
    """
    token = run.attributes.get("what_if_tapes")
    if not token:
        raise UsageError(f"{path} was recorded without --keep-tapes", "bnprobe record --what-if auto --keep-tapes -o run.h5 train.py")
    if not tape_path(path).exists():
        raise UsageError(f"its tapes, {tape_path(path)}, are not there", "keep both files side by side")
    tapes = read_tapes(tape_path(path), str(token))
    set_arithmetic(tapes.arithmetic)
    program, built = _stretch_of(tapes.stretches, start)
    is_judged = program is tapes.stretches[0][0] and start in (None, program.first_step)
    begins = None if start == program.first_step else start
    asked = long_enough(program) if program is tapes.stretches[0][0] else program
    assert asked is not None
    is_cycled = asked is not program
    room = max(0, RecordOptions().what_if_memory - tape_path(path).stat().st_size)
    judge = Judge(run, program.first_step, program.steps, asked.steps if is_cycled else 0)
    answering = Answering(program, asked, judge, RemedyEdits(built, asked), Layers(asked, built), say, room)
    say(f"what if: {program.steps} steps from step {program.first_step} on are trained again from their tape")
    if answering.prove():
        answering.questions.limit_of_none = _limit_of_none(run)
        questions = answering.questions

        def question(remedy: str) -> None:
            if not rates:
                questions.limit(remedy) if is_judged else questions.kept_from(remedy, begins)
            for rate in rates:
                factor = rate / asked.own_rate
                questions.trial(remedy, factor) if is_judged else questions.from_step(remedy, factor, begins)

        answering.ask(remedies, question)
    elif elsewhere := difference(tapes.arithmetic):
        answering.found.refused.append(("proof", elsewhere))
    return _told(answering.found, is_judged)


def _stretch_of(stretches: list[tuple[Program, list[Built]]], start: int | None) -> tuple[Program, list[Built]]:
    """Return the stretch in which a step lies, the later one of two."""
    if start is None:
        return stretches[0]
    for program, built in reversed(stretches):
        if program.first_step <= start < program.first_step + program.steps:
            return program, built
    kept = " and ".join(f"{program.first_step} to {program.first_step + program.steps - 1}" for program, _ in stretches)
    raise UsageError(f"step {start} is on no tape: steps {kept} are", "record with --what-if-from-here to tape up to a divergence")


def _limit_of_none(run: Run) -> int | None:
    """Return the place on the grid at which the recording's own answer found the limit without a remedy."""
    found = what_if_of(run)
    answer = found.remedies.get(NONE) if found is not None else None
    places = [grid_index_of(one.factor) for one in answer.trials if one.on_grid and one.trains] if answer is not None else []
    return max((place for place in places if place is not None), default=None)


def _told(found: Answers, is_judged: bool) -> WhatIf:
    """Return answers as a run file would give them."""
    trials = [_retrained(trial) for trial in found.trials]
    remedies = {}
    for name in dict.fromkeys(one.remedy for one in trials) if is_judged else ():
        remedies[name] = RemedyAnswer(name, sorted((one for one in trials if one.remedy == name), key=lambda one: one.rate))
    return WhatIf(
        steps=found.steps,
        own_rate=found.own_rate,
        proved=found.proved,
        remedies=remedies,
        refused=[Refusal(what, why) for what, why in found.refused],
        from_here=[] if is_judged else trials,
        seconds=found.seconds,
        rerun_steps=found.rerun_steps,
        layers=tuple(found.layers),
        own_rates=found.own_rates,
        cycled=found.cycled,
    )


def _retrained(trial: Trial) -> Retrained:
    told = Retrained(
        trial.remedy,
        trial.factor,
        trial.factor * trial.own_rate,
        trial.grid_index is not None,
        trial.outcome,
        trial.reason,
        np.array(trial.losses),
        trial.start,
    )
    if trial.activations is None:
        return told
    steps = len(trial.losses)
    return replace(told, rms=trial.activations.rms[:steps], common=trial.activations.common[:steps])
