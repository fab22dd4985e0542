"""``bnprobe record``: run a script as python would, and record its training."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from bnprobe.cli import script

if TYPE_CHECKING:
    from bnprobe.cli.voice import Voice


def record(
    target: script.Target,
    arguments: script.Arguments = None,
    module: script.Module = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The run file (default: bnprobe-<script>.<pid>.h5 here)."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing run file.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Report errors only.")] = False,
    live: Annotated[bool, typer.Option("--follow", help="Serve the report to this machine while the run goes on.")] = False,
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
            "tails, line, update, logits, coherence, jacobian.",
        ),
    ] = None,
    figures_at: Annotated[str, typer.Option("--figures-at", metavar="STEP,...", help="The steps at which they are measured.")] = "0",
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
            help="Keep N steps on a tape and train them again at the end, at other rates and with remedies (auto: 60).",
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
    what_if_memory: Annotated[
        int, typer.Option("--what-if-memory", min=1, metavar="MIB", help="Memory that the tape may keep, in MiB.")
    ] = 2048,
    ranks: Annotated[
        str, typer.Option("--ranks", metavar="0|all", help="Which processes of a distributed run to record, one file each.")
    ] = "0",
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
      bnprobe record --line-probe 100 train.py     at every 100th step, find the largest rate it tolerates
      torchrun --nproc-per-node=4 -m bnprobe record -o run.h5 train.py
    """  # noqa: D301, DOC201, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.cli.follow import follow_beside
    from bnprobe.cli.voice import say
    from bnprobe.errors import UsageError
    from bnprobe.launch.output import check_output, default_output
    from bnprobe.launch.provenance import collect_provenance
    from bnprobe.launch.ranks import output_of_rank, read_rank
    from bnprobe.launch.session import run_plainly, run_recorded
    from bnprobe.launch.target import resolve
    from bnprobe.observe.options import WHAT_IF_STEPS, RecordOptions
    from bnprobe.remedies.specification import parse_all

    probed = _steps_between("--line-probe", line_probe)
    stretch = _steps_between("--what-if", what_if)
    remedies = tuple(one.text for one in parse_all(remedy or []))
    resolved = resolve(target, module, arguments or [])
    rank = read_rank(os.environ)
    file = output_of_rank(output or default_output(resolved.label), rank, ranks)
    if max_steps is not None and rank.world_size > 1 and ranks != "all":
        raise UsageError("--max-steps would end rank 0 and leave the other processes waiting for it", "add --ranks all")
    if remedies and rank.world_size > 1 and ranks != "all":
        raise UsageError("--remedy would change the training of rank 0 and leave the other processes as they are", "add --ranks all")
    if what_if_from_here and stretch is None:
        raise UsageError("--what-if-from-here goes on with what --what-if begins", "add --what-if auto")
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
    check_output(file, force)
    voice = _introduce(file, quiet)
    if live:
        say(f"live page: {follow_beside(file)}")
    return functools.partial(
        run_recorded,
        resolved,
        file,
        RecordOptions(
            every=every,
            max_steps=max_steps,
            strict=strict,
            budget=budget,
            curvature=curvature,
            curvature_kernels=curvature_kernels,
            line_probe=probed,
            line_probe_channels=line_probe_channels,
            audit="auto" if audit else None,
            figures=_figures(figures),
            figures_at=_steps(figures_at),
            what_if=WHAT_IF_STEPS if stretch == "auto" else stretch,
            what_if_remedies=tuple(dict.fromkeys(_tried(one) for one in what_if_remedy or [])),
            what_if_from_here=what_if_from_here,
            what_if_memory=what_if_memory * 2**20,
            remedies=remedies,
        ),
        collect_provenance(resolved, ["bnprobe", *sys.argv[1:]]),
        voice,
        overwrite=force,
        on_progress=voice.progress,
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


def _steps(value: str) -> tuple[int, ...]:
    """Read a list of steps.

    Returns:
        The steps.

    Raises:
        UsageError: it is none.
    """
    from bnprobe.errors import UsageError

    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--figures-at {value}: expected steps, counted from 0, with commas between them")
    return tuple(int(part) for part in parts)


def _tried(text: str) -> str:
    """Read what is to be tried on a tape.

    Returns:
        The shortest texts of the remedies that act together, joined; "none" for none.
    """
    from bnprobe.remedies.specification import parse_all, split

    return "none" if text.strip().lower() == "none" else "+".join(one.text for one in parse_all(split(text.strip())))


def closing_lines(file: Path) -> list[str]:
    """Say what a finished run file shows, and the next command.

    Args:
        file: A run file that is no longer written to.

    Returns:
        Lines for the terminal, without our name in front.
    """
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.diagnose import diagnose
    from bnprobe.diagnose.verdict import verdict_line
    from bnprobe.report.what_if_text import lines
    from bnprobe.store.reader import read_run

    run = read_run(file)
    if run.steps == 0:
        return [f"no optimizer step was seen; {_shown(file)} holds no training (bnprobe inspect says what was seen)"]
    answers, diagnosis = what_if_of(run), diagnose(run)
    return [
        f"recorded {run.steps} steps of {len(run.layers)} layers to {_shown(file)}",
        f"verdict: {verdict_line(diagnosis)}",
        *(f"what if: {line}" for line in (lines(answers, diagnosis.outcome.word) if answers is not None else ())),
        f"next: bnprobe report {_shown(file)}",
    ]


def _introduce(file: Path, quiet: bool) -> Voice:
    """Announce the recording, and return the voice that accompanies it."""
    from bnprobe.cli.status_line import on_stderr
    from bnprobe.cli.voice import Voice, say

    if quiet:
        return Voice(file, quiet, None, closing_lines)
    say(f"recording to {file}")
    return Voice(file, quiet, on_stderr(), closing_lines)


def _shown(file: Path) -> str:
    """A path as it can be typed after the run: short below the current folder, quoted where the shell needs it."""
    relative = os.path.relpath(file)
    return shlex.quote(str(file) if relative.startswith("..") else relative)
