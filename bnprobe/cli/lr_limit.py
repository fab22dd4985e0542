"""``bnprobe lr-limit``: the largest learning rate at which an unedited script still trains, found by short trials."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnprobe.cli import script, trial_resources

if TYPE_CHECKING:
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.experiments.experiment import Standing
    from bnprobe.experiments.limits.search import Plan
    from bnprobe.launch.target import Target
    from bnprobe.store.limits_file import Limits, Trial


def lr_limit(
    target: script.Target,
    arguments: script.Arguments = None,
    module: script.Module = False,
    remedy: Annotated[
        list[str] | None,
        typer.Option(
            "--remedy",
            metavar="NONE|NAME[:SETTINGS]",
            help="What to compare; repeatable; join remedies that act together with + (default: NONE and msr).",
            show_default=False,
        ),
    ] = None,
    rates: Annotated[str | None, typer.Option("--rates", metavar="A:B", help="Try rates from A to B only.", show_default=False)] = None,
    steps: Annotated[int, typer.Option("--steps", min=20, metavar="N", help="Optimizer steps of each trial.")] = 100,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="K", help="Number of seeds; the first is the script as it is.")] = 2,
    jobs: trial_resources.Jobs = None,
    executor: trial_resources.Executor = "local",
    cpus: trial_resources.Cpus = None,
    gpus: trial_resources.Gpus = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The file of trials (default: bnprobe-limits-<script>.h5 here).")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run all trials again, even if the file holds some.")] = False,
) -> None:
    """Find the largest learning rate at which a script still trains, with and without remedies, by short trials of the script itself.

    Each trial runs the script in a process of its own, all its learning rates multiplied by one factor, on a copy-on-write view of the
    file system: checkpoints and logs that it writes are discarded. Typed again, the command resumes where it was interrupted.

    \b
      bnprobe lr-limit train.py --lr 0.1
      bnprobe lr-limit --remedy NONE --remedy batch-norm --seeds 3 train.py
      bnprobe lr-limit --rates 0.001:1 --steps 300 -o limits.h5 -m package.train
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.cli.interruption import terminable
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.experiments.limits.search import Searches
    from bnprobe.launch.provenance import collect_provenance
    from bnprobe.launch.target import resolve

    resolved = resolve(target, module, arguments or [])
    resources = Resources(executor, jobs, cpus, gpus)
    plan = _plan(resolved, remedy, rates, steps, seeds, resources)
    file = output or Path(f"bnprobe-limits-{resolved.label}.h5")
    page = file.with_suffix(".html")
    attributes: dict[str, str | int | float] = {
        **collect_provenance(resolved, ["bnprobe", *sys.argv[1:]]),
        **_settings(plan, resolved),
    }
    before = _earlier_trials(file, attributes, fresh)
    voice = _Voice(plan)
    voice.begin(file, before)
    trials = [trial for trial in before.trials if trial.outcome != "failed"] if before else []
    with resources.open() as runs:
        predictions = before.predictions if before else []
        searches = Searches(plan, runs, file, attributes, trials, predictions, voice.trial, voice.standing)
        try:
            with terminable():
                searches.run()
        except KeyboardInterrupt:
            voice.interrupted(len(searches.trials), file)
            raise typer.Exit(130) from None
        finally:
            voice.end()
        trial_resources.tell_of_start(runs)
    _conclude(file, page)


def _plan(target: Target, remedy: list[str] | None, rates: str | None, steps: int, seeds: int, resources: Resources) -> Plan:
    from bnprobe.experiments.limits.search import Plan
    from bnprobe.experiments.order import Script

    return Plan(
        script=Script(target.name, target.is_module, target.arguments),
        remedies=_remedies(remedy or ["NONE", "msr"]),
        seeds=seeds,
        steps=steps,
        rates=_rates(rates) if rates else None,
        jobs=resources.at_once,
        threads=resources.threads,
    )


def _remedies(texts: list[str]) -> tuple[str, ...]:
    from bnprobe.remedies.specification import parse_all, split

    found = ["NONE" if text.strip().upper() == "NONE" else "+".join(one.text for one in parse_all(split(text.strip()))) for text in texts]
    return tuple(dict.fromkeys(found))


def _rates(text: str) -> tuple[float, float]:
    from bnprobe.errors import UsageError

    low, colon, high = text.partition(":")
    try:
        slowest, fastest = float(low), float(high)
    except ValueError:
        slowest = fastest = 0.0
    if not colon or not 0 < slowest < fastest < float("inf"):
        raise UsageError(f"--rates is '{text}', expected two rates, the smaller one first", "such as --rates 0.001:1")
    return slowest, fastest


def _settings(plan: Plan, target: Target) -> dict[str, str | int]:
    """What trials must have in common to stand in one file, and what else the reader of the file may ask."""
    from bnprobe.cli.earlier_trials import script_digest

    return {
        "steps": plan.steps,
        "script_digest": script_digest(target),
        "remedies": "\n".join(plan.remedies),
        "seeds": plan.seeds,
        "rates": "" if plan.rates is None else f"{plan.rates[0]!r}:{plan.rates[1]!r}",
        "jobs": plan.jobs,
        "threads": plan.threads,
    }


def _earlier_trials(file: Path, attributes: dict[str, str | int | float], fresh: bool) -> Limits | None:
    """Return what the file holds already, if it belongs to the same script under the same conditions."""
    from bnprobe.cli.earlier_trials import OF_SCRIPT, earlier_trials
    from bnprobe.store.limits_file import holds_limits, read_limits

    return earlier_trials(file, attributes, fresh, OF_SCRIPT, holds_limits, read_limits, "learning-rate trials")


def _conclude(file: Path, page: Path) -> None:
    from bnprobe.report.limits_page import write_limits_page
    from bnprobe.report.limits_text import table
    from bnprobe.store.limits_file import read_limits

    write_limits_page(file, page)
    print(table(read_limits(file)))
    print(f"\nwrote {page}")


class _Voice:
    """What the command says while it works: on stderr, so that its table can be piped."""

    def __init__(self, plan: Plan) -> None:
        from bnprobe.cli.status_line import on_stderr

        self._plan = plan
        self._line = on_stderr()
        self._done = 0

    def begin(self, file: Path, before: Limits | None) -> None:
        from bnprobe.cli.voice import say

        plan = self._plan
        at_once = f"{plan.jobs} at a time, " if plan.jobs > 1 else ""
        threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''} each"
        say(f"trials of {plan.steps} steps, {at_once}{threads}; results go to {file}")
        if before is not None and before.trials:
            say(f"going on: {len(before.trials)} trials were made before and are not repeated")

    def trial(self, trial: Trial) -> None:
        from bnprobe.cli.voice import say
        from bnprobe.report.limits_text import trial_line

        self._done += 1
        say(trial_line(trial))

    def standing(self, standing: Standing[Any]) -> None:
        from bnprobe.report.limits_text import duration

        if self._line.is_due():
            left = f" | about {duration(standing.seconds_left)} left" if standing.seconds_left == standing.seconds_left else ""
            now = ", ".join(f"{one.remedy} seed {one.seed}" for one in standing.running)
            self._line.update(f"bnprobe: {standing.done} of about {standing.expected} trials | now {now}{left}")

    def interrupted(self, done: int, file: Path) -> None:
        from bnprobe.cli.voice import say

        self._line.clear()
        say(f"interrupted; {done} finished trials are kept in {file}")
        say(f"to go on: {shlex.join(['bnprobe', *(word for word in sys.argv[1:] if word != '--fresh')])}")

    def end(self) -> None:
        self._line.clear()
