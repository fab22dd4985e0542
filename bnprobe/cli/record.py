"""``bnprobe record``: run a script as python would, and record its training."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from bnprobe.cli import script

if TYPE_CHECKING:
    from bnprobe.cli.voice import Voice
    from bnprobe.errors import UsageError
    from bnprobe.launch.children import Plan
    from bnprobe.launch.target import Target
    from bnprobe.processes import Rank


def record(
    target: script.Target,
    arguments: script.Arguments = None,
    module: script.Module = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The run file (default: bnprobe-<script>.<pid>.h5 here)."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing run file.")] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=64,
            metavar="N",
            help="For long runs: keep all of the last N steps, of those before one in 2, then one in 4, ..., and the loss of each.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on in this run file: the script continues from a checkpoint. A file that is not there yet is begun.",
        ),
    ] = None,
    resume_at: Annotated[
        int | None,
        typer.Option("--resume-at", min=0, metavar="STEP", help="The step that the checkpoint goes on with (default: found out)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Report errors only.")] = False,
    live: Annotated[bool, typer.Option("--follow", help="Serve the report to this machine while the run goes on.")] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track", metavar="TRACKER[:WHERE]", help="Write findings and a few scalars to tensorboard, wandb or mlflow; repeatable."
        ),
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, metavar="N", help="Measure every N-th step.")] = 1,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, metavar="N", help="End the run cleanly after N optimizer steps.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Raise an error in a hook instead of giving up on that layer.")] = False,
    budget: Annotated[
        float,
        typer.Option("--budget", min=0.0, metavar="SHARE", help="Share of the training time that the recorder may take."),
    ] = 0.05,
    curvature: Annotated[
        int | None,
        typer.Option("--curvature", min=1, metavar="N", help="Measure the curvature of the loss (sharpness) at every N-th step."),
    ] = None,
    curvature_kernels: Annotated[
        str,
        typer.Option(
            "--curvature-kernels",
            metavar="script|math",
            help="math: at those steps, run attention, recurrent layers and compiled code on kernels with a second derivative. "
            "That changes low-order bits of the training.",
        ),
    ] = "script",
    curvature_reruns: Annotated[
        bool,
        typer.Option(
            "--curvature-reruns",
            help="Measure the curvature also where that runs code of the script again: its own autograd functions, checkpointed blocks. "
            "It sees that: what it counts, counts more, and what it changes may change the training.",
        ),
    ] = False,
    line_probe: Annotated[
        str | None,
        typer.Option(
            "--line-probe",
            metavar="N|auto",
            help="At every N-th step, and when trouble begins, measure how far the update could have gone; up to 10 forwards per remedy.",
        ),
    ] = None,
    line_probe_channels: Annotated[
        bool, typer.Option("--line-probe-channels", help="Keep the mean and variance of every channel at every point of a line probe.")
    ] = False,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="At steps 5, 10, 20, 50, 100, ... measure what normalisation costs: the forward again as evaluation would, with another "
            "sample in the batch, without dropout; up to 5 forwards each.",
        ),
    ] = False,
    figures: Annotated[
        str | None,
        typer.Option(
            "--figures",
            metavar="ubn|NAME,...",
            help="Measure what the figures of Understanding Batch Normalization show, of this network: ubn for all, or some of init, "
            "tails, line, update, logits, coherence, noise, jacobian.",
        ),
    ] = None,
    figures_at: Annotated[
        str,
        typer.Option(
            "--figures-at",
            metavar="STEP|trouble,...",
            help="The steps at which they are measured; trouble: the three steps after the loss or the gradient has leapt, up to twelve.",
        ),
    ] = "0",
    remedy: Annotated[
        list[str] | None,
        typer.Option(
            "--remedy",
            metavar="NAME[:SETTINGS]",
            help="Change the training, not the script; repeatable, in order (bnprobe remedies lists them).",
        ),
    ] = None,
    what_if: Annotated[
        str | None,
        typer.Option(
            "--what-if",
            metavar="N|auto",
            help="Keep N steps on a tape and train them again at the end, at other rates and with remedies (auto: 120).",
        ),
    ] = None,
    what_if_remedy: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if-remedy",
            metavar="NONE|NAME[:SETTINGS]",
            help="What to try on the tape; repeatable; join remedies that act together with + (default: NONE and nine remedies).",
        ),
    ] = None,
    what_if_from_here: Annotated[
        bool,
        typer.Option(
            "--what-if-from-here",
            help="Tape every step until training diverges, and say what would have kept it from its last healthy steps on.",
        ),
    ] = False,
    keep_tapes: Annotated[
        bool,
        typer.Option("--keep-tapes", help="Keep the tapes beside the run file (RUN.tapes.npz): what-if can ask more later."),
    ] = False,
    what_if_memory: Annotated[
        int,
        typer.Option("--what-if-memory", min=1, metavar="MIB", help="Memory that a what-if may take beside the recording, in MiB."),
    ] = 2048,
    ranks: Annotated[
        str,
        typer.Option("--ranks", metavar="all|0", help="Which processes of a distributed run to record: all, a file each, or rank 0 alone."),
    ] = "all",
    children: Annotated[
        bool,
        typer.Option(
            "--children", help="Record trainings in processes that the script starts (spawn, fork, its own launcher) as well, a file each."
        ),
    ] = False,
) -> Callable[[], None]:
    """Run a script as python would and record its training. The script needs no edit.

    \b
      bnprobe record train.py --lr 0.1             what follows the script is its own
      bnprobe record -o run.h5 -m package.train    a module, recorded to run.h5
      bnprobe record --max-steps 500 train.py      end it after 500 optimizer steps
      bnprobe record --curvature 10 train.py       measure sharpness at every 10th step
      bnprobe record --remedy msr train.py         train with mean shift rejection
      bnprobe record --what-if auto train.py       train its first 120 steps again at other rates, with other remedies
      bnprobe record --audit train.py              measure what batch norm costs it (then: bnprobe audit)
      bnprobe record --figures ubn train.py        draw the figures of the paper on batch norm of this network
      bnprobe record --follow train.py             serve the report while the run goes on
      bnprobe record --track wandb train.py        write findings and a few scalars to a tracker, too
      bnprobe record --keep 500 train.py           a run of days: older steps are thinned, the file hardly grows
      bnprobe record --resume run.h5 train.py      go on in run.h5 from the script's own checkpoint
      bnprobe record --line-probe 100 train.py     at every 100th step, find the largest rate it tolerates
      torchrun --nproc-per-node=4 -m bnprobe record -o run.h5 train.py
      bnprobe record --children train.py           a script that starts its ranks itself
    """  # noqa: D301, DOC201, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.cli.follow import follow_beside
    from bnprobe.cli.track import track_beside
    from bnprobe.cli.voice import say
    from bnprobe.errors import UsageError
    from bnprobe.launch.children import plan as plan_of
    from bnprobe.launch.children import step_aside
    from bnprobe.launch.claim import Claim
    from bnprobe.launch.output import check_output, check_resumed, default_output
    from bnprobe.launch.provenance import collect_provenance
    from bnprobe.launch.ranks import output_of_rank
    from bnprobe.launch.session import run_plainly, run_recorded
    from bnprobe.launch.target import resolve
    from bnprobe.observe.options import WHAT_IF_STEPS, RecordOptions
    from bnprobe.processes import read_rank, restarts
    from bnprobe.remedies.specification import as_tried, parse_all

    probed = _steps_between("--line-probe", line_probe)
    stretch = _steps_between("--what-if", what_if)
    remedies = tuple(one.text for one in parse_all(remedy or []))
    resolved = resolve(target, module, arguments or [])
    rank = read_rank(os.environ)
    if resume is not None and (output is not None or force):
        raise UsageError(f"--resume goes on in {resume}, and {'-f' if force else '-o'} asks for a new file", "leave one of them out")
    if resume_at is not None and resume is None:
        raise UsageError("--resume-at says where --resume goes on", "add --resume RUN")
    without_children = _why_no_children(rank, resume, max_steps, what_if)
    if children and without_children is not None:
        raise without_children
    if resume is not None and stretch is not None:
        raise UsageError("--what-if trains again from the first step on, and this training goes on", "leave one of them out")
    again = 0 if resume is not None else restarts(os.environ)
    file = output_of_rank(resume or output or default_output(resolved.label, rank.world_size > 1), rank, ranks, again)
    if max_steps is not None and rank.world_size > 1 and ranks != "all":
        raise UsageError("--max-steps would end rank 0 and leave the other processes waiting for it", "leave out --ranks 0")
    if remedies and rank.world_size > 1 and ranks != "all":
        raise UsageError("--remedy would change the training of rank 0 and leave the other processes as they are", "leave out --ranks 0")
    if what_if_from_here and stretch is None:
        raise UsageError("--what-if-from-here goes on with what --what-if begins", "add --what-if auto")
    if keep_tapes and stretch is None:
        raise UsageError("--keep-tapes keeps what --what-if puts on a tape", "add --what-if auto")
    if stretch is not None and remedies:
        raise UsageError("--what-if tries remedies itself, on the training as it is", "leave --remedy out")
    if stretch is not None and rank.world_size > 1:
        raise UsageError("--what-if trains one process again, and this training has several", "bnprobe lr-limit tries rates in trials")
    taping = [
        option
        for option, asked in (
            ("--line-probe", probed is not None),
            ("--audit", audit),
            ("--figures", bool({"line", "update"} & set(_figures(figures)))),
        )
        if asked
    ]
    if stretch is not None and taping:
        raise UsageError(f"--what-if has its steps on a tape, and {taping[0]} needs a tape of its own", "record twice, once with each")
    if curvature_kernels not in ("script", "math"):
        raise UsageError(f"--curvature-kernels {curvature_kernels} is unknown", "say script or math")
    if file is None:
        return functools.partial(run_plainly, resolved)
    if line_probe_channels and probed is None:
        raise UsageError("--line-probe-channels measures at the points of a line probe, and there is none", "add --line-probe N")
    options = RecordOptions(
        every=every,
        max_steps=max_steps,
        strict=strict,
        budget=budget,
        curvature=curvature,
        curvature_kernels=curvature_kernels,
        curvature_reruns=curvature_reruns,
        line_probe=probed,
        line_probe_channels=line_probe_channels,
        audit="auto" if audit else None,
        figures=_figures(figures),
        figures_at=_steps(figures_at),
        what_if=WHAT_IF_STEPS if stretch == "auto" else stretch,
        what_if_remedies=tuple(dict.fromkeys(as_tried(one) for one in what_if_remedy or [])),
        what_if_from_here=what_if_from_here,
        what_if_memory=what_if_memory * 2**20,
        keep_tapes=keep_tapes,
        remedies=remedies,
        keep=keep,
        resume=resume is not None and check_resumed(file),
        resume_at=resume_at,
    )
    provenance = collect_provenance(resolved, ["bnprobe", *sys.argv[1:]])
    claim = Claim(file)
    try:
        if resume is None:
            check_output(file, force or _is_leftover(file))
        plan = plan_of(file, options, provenance, overwrite=force) if children else None
        voice = _introduce(file, quiet, rank, plan, options.resume, resolved, may_follow=without_children is None)
        if (outer := step_aside()) is not None and not quiet:
            say(f"this process was started by a script that is recorded to {outer}: what it trains is in {file} alone")
        if live and not rank.number:
            say(f"live page: {follow_beside(file)}")
        for tracker in (track or []) if not rank.number else ():
            track_beside(file, tracker)
    except BaseException:
        claim.release()
        raise
    return functools.partial(
        run_recorded,
        resolved,
        file,
        options,
        provenance,
        voice,
        claim=claim,
        overwrite=force,
        on_progress=voice.progress,
        plan=plan,
    )


def _steps_between(option: str, value: str | None) -> int | Literal["auto"] | None:
    """Read "auto" or a number of steps.

    Returns:
        The word, the number, or None where the option was not given.

    Raises:
        UsageError: it is neither.
    """
    from bnprobe.errors import UsageError

    if value is None or value == "auto":
        return cast('Literal["auto"] | None', value)
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise UsageError(f"{option} {value}: expected a number of steps, at least 1, or auto")
    return int(value)


def _figures(value: str | None) -> tuple[str, ...]:
    """Read names of figures.

    Returns:
        The names, in the order in which they are told.

    Raises:
        UsageError: there is no such figure.
    """
    from bnprobe.errors import UsageError
    from bnprobe.observe.options import FIGURES

    names = [name.strip() for name in value.split(",")] if value is not None else []
    unknown = [name for name in names if name not in (*FIGURES, "ubn")]
    if unknown:
        raise UsageError(f"--figures {value}: there is no figure {unknown[0]!r}", f"ubn for all, or some of {', '.join(FIGURES)}")
    return tuple(name for name in FIGURES if name in names or "ubn" in names)


def _steps(value: str) -> tuple[int | Literal["trouble"], ...]:
    """Read a list of steps.

    Returns:
        The steps, and "trouble" where it is one of them.

    Raises:
        UsageError: it is none.
    """
    from bnprobe.errors import UsageError

    parts = [part.strip() for part in value.split(",")]
    if not all(part == "trouble" or (part.isascii() and part.isdecimal()) for part in parts):
        raise UsageError(f"--figures-at {value}: expected steps, counted from 0, or trouble, with commas between them")
    return tuple("trouble" if part == "trouble" else int(part) for part in parts)


def _why_no_children(rank: Rank, resume: Path | None, max_steps: int | None, what_if: str | None) -> UsageError | None:
    """Return why processes that the script starts cannot be recorded, too; None where they can."""
    from bnprobe.errors import UsageError

    if resume is not None:
        return UsageError("--resume goes on in one file, and --children records a file each", "leave out one of them")
    if rank.world_size > 1:
        return UsageError(f"--children, and this is one of {rank.world_size} ranks, each of which is recorded", "leave out --children")
    if max_steps is not None:
        return UsageError("--max-steps would end one process and leave the others waiting for it", "leave out --children or --max-steps")
    if what_if is not None:
        return UsageError("--what-if trains one process again, and --children records several", "leave out one of them")
    return None


def _is_leftover(file: Path) -> bool:
    """Whether what is in a file's place was left by a script that ended before its first step: it may be overwritten without a word."""
    if not file.is_file():
        return False
    from bnprobe.report.leftover import holds_no_training

    return holds_no_training(file)


def _introduce(file: Path, quiet: bool, rank: Rank, plan: Plan | None, goes_on: bool, target: Target, may_follow: bool) -> Voice:
    """Announce the recording, and return the voice that accompanies it; of several ranks the first speaks, the others of faults alone."""
    from bnprobe.cli.last_words import closing_lines
    from bnprobe.cli.misplaced import misplaced, told
    from bnprobe.cli.status_line import on_stderr
    from bnprobe.cli.voice import Voice, say

    beside = None if plan is None else lambda: plan.files
    if quiet or rank.number:
        return Voice(file, True, None, closing_lines, beside)
    every = f"; each of {rank.world_size} ranks to a file of its own" if rank.world_size > 1 and file.stem.endswith(".rank0") else ""
    every = "; trainings in processes that the script starts to files beside it" if plan is not None else every
    say(f"{'going on in' if goes_on else 'recording to'} {file}{every}")
    sure, doubtful = misplaced(target.arguments, target.name)
    if sure:
        say(f"hint: {told(sure)}")
    hint = told(doubtful) if doubtful else ""
    return Voice(file, quiet, on_stderr(), functools.partial(closing_lines, plan=plan, hint=hint), beside, may_follow, hint)
