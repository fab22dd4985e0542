"""``bnprobe compare``: which technique serves an unedited script best, each at its own best learning rate."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnprobe.cli import script, trial_resources

if TYPE_CHECKING:
    from bnprobe.experiments.comparison.plan import Plan
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.experiments.experiment import Standing
    from bnprobe.launch.target import Target
    from bnprobe.store.comparison_file import Comparison, Trial


def compare(
    target: script.Target,
    arguments: script.Arguments = None,
    module: script.Module = False,
    remedy: Annotated[
        list[str] | None,
        typer.Option(
            "--remedy",
            metavar="NAME[:SETTINGS]",
            help="What to compare with none; repeatable; join remedies that act together with +; usual stands for the usual ones "
            "(default: usual).",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="K", help="Number of seeds; the first is the script as it is.")] = 3,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=20,
            metavar="N",
            help="Optimizer steps of each training (default: as long as the script trains).",
            show_default=False,
        ),
    ] = None,
    search_steps: Annotated[
        int, typer.Option("--search-steps", min=20, metavar="N", help="Optimizer steps of the trials that look for the limit of the rate.")
    ] = 100,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="REGEX",
            help="Compare a number that the script prints as well: the first group of the last match.",
            show_default=False,
        ),
    ] = None,
    jobs: trial_resources.Jobs = None,
    executor: trial_resources.Executor = "local",
    cpus: trial_resources.Cpus = None,
    gpus: trial_resources.Gpus = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The file of results (default: bnprobe-comparison-<script>.h5 here)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make all trainings again, even if the file holds some.")] = False,
) -> None:
    """Compare techniques on a script: none, batch norm, weight norm, clipping, dropout, mean shift rejection, layer norm, any remedy.

    Each is trained at its own best learning rate, chosen by the training loss among rates below its limit, and at several seeds. Held-out
    loss and accuracy are those of the script's own evaluations. Each training runs the unedited script in a process of its own, on a
    copy-on-write view of the file system. Typed again, the command resumes.

    \b
      bnprobe compare train.py --epochs 10
      bnprobe compare --remedy msr --remedy batch-norm --remedy clip-norm:max=1 --seeds 5 train.py
      bnprobe compare --metric 'val loss ([0-9.]+)' -o comparison.h5 -m package.train
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.analyse.comparison import trials_to_keep
    from bnprobe.cli.interruption import terminable
    from bnprobe.experiments.comparison.comparing import Comparing
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.launch.provenance import collect_provenance
    from bnprobe.launch.target import resolve

    resolved = resolve(target, module, arguments or [])
    resources = Resources(executor, jobs, cpus, gpus)
    plan = _plan(resolved, remedy, seeds, steps, search_steps, metric, resources)
    file = output or Path(f"bnprobe-comparison-{resolved.label}.h5")
    attributes: dict[str, str | int | float] = {**collect_provenance(resolved, ["bnprobe", *sys.argv[1:]]), **_settings(plan, resolved)}
    before = _earlier_trials(file, attributes, fresh)
    attributes["executor"] = _executors(before, resources)
    voice = _Voice(plan)
    kept = trials_to_keep(before.trials) if before else []
    voice.begin(file, len(kept))
    with resources.open() as runs:
        comparing = Comparing(plan, runs, file, attributes, kept, voice.trial, voice.standing)
        try:
            with terminable():
                comparing.run()
        except KeyboardInterrupt:
            voice.interrupted(len(comparing.trials), file)
            raise typer.Exit(130) from None
        finally:
            voice.end()
        trial_resources.tell_of_start(runs)
    _conclude(file, as_json)


def _plan(
    target: Target, remedy: list[str] | None, seeds: int, steps: int | None, search_steps: int, metric: str | None, resources: Resources
) -> Plan:
    from bnprobe.analyse.comparison import Terms
    from bnprobe.experiments.comparison.plan import Plan
    from bnprobe.experiments.comparison.techniques import USUAL_WORD, parse_techniques
    from bnprobe.experiments.order import Script
    from bnprobe.store.comparison_file import WHOLE

    length = WHOLE if steps is None else steps
    return Plan(
        script=Script(target.name, target.is_module, target.arguments),
        terms=Terms(parse_techniques(remedy or [USUAL_WORD]), seeds, length, search_steps if steps is None else min(search_steps, steps)),
        jobs=resources.at_once,
        threads=resources.threads,
        metric=_metric(metric),
    )


def _metric(pattern: str | None) -> str:
    import re

    from bnprobe.errors import UsageError

    try:
        groups = re.compile(pattern).groups if pattern else 1
    except re.error as error:
        raise UsageError(f"--metric '{pattern}' is no regular expression: {error}", "such as --metric 'val loss ([0-9.]+)'") from None
    if not groups:
        raise UsageError(f"--metric '{pattern}' has no group", "put the number in parentheses: --metric 'val loss ([0-9.]+)'")
    return pattern or ""


def _settings(plan: Plan, target: Target) -> dict[str, str | int]:
    """What trials must have in common to stand in one file, and what else the reader of the file may ask."""
    from bnprobe.cli.earlier_trials import script_digest

    return {
        "techniques": "\n".join(plan.terms.techniques),
        "seeds": plan.terms.seeds,
        "steps": plan.terms.length,
        "search_steps": plan.terms.search_length,
        "metric": plan.metric,
        "script_digest": script_digest(target),
        "jobs": plan.jobs,
        "threads": plan.threads,
    }


def _earlier_trials(file: Path, attributes: dict[str, str | int | float], fresh: bool) -> Comparison | None:
    """Return what the file holds already, if it belongs to the same script under the same conditions."""
    from bnprobe.cli.earlier_trials import OF_SCRIPT, earlier_trials
    from bnprobe.store.comparison_file import holds_comparison, read_comparison

    # More techniques and more seeds may be asked for later: what was made stays.
    told = {**OF_SCRIPT, "search_steps": "--search-steps", "metric": "--metric"}
    return earlier_trials(file, attributes, fresh, told, holds_comparison, read_comparison, "compared techniques")


def _executors(before: Comparison | None, resources: Resources) -> str:
    """Who ran the trials of a file: whoever made those that it holds, and who makes the next."""
    earlier = str(before.attributes.get("executor", "local")).split(" and ") if before else []
    return " and ".join(dict.fromkeys([*earlier, resources.executor]))


def _conclude(file: Path, as_json: bool) -> None:
    from bnprobe.report.comparison_page import write_comparison_page
    from bnprobe.report.comparison_story import document
    from bnprobe.report.comparison_text import table
    from bnprobe.store.comparison_file import read_comparison

    page = file.with_suffix(".html")
    write_comparison_page(file, page)
    found = read_comparison(file)
    if as_json:
        print(json.dumps(document(found), indent=2, allow_nan=False))
    else:
        print(f"{table(found)}\n\nwrote {page}")


class _Voice:
    """What the command says while it works: on stderr, so that its table can be piped."""

    def __init__(self, plan: Plan) -> None:
        from bnprobe.cli.status_line import on_stderr

        self._plan = plan
        self._line = on_stderr()

    def begin(self, file: Path, kept: int) -> None:
        from bnprobe.cli.voice import say

        terms = self._plan.terms
        threads = f"{self._plan.threads} thread{'s' if self._plan.threads > 1 else ''} each"
        say(f"{len(terms.techniques)} techniques, {terms.seeds} seeds, {self._plan.jobs} at a time, {threads}; results go to {file}")
        if kept:
            say(f"going on: {kept} trainings were made before and are not repeated")

    def trial(self, trial: Trial) -> None:
        from bnprobe.cli.voice import say
        from bnprobe.report.comparison_text import trial_line

        self._line.clear()
        say(trial_line(trial))

    def standing(self, standing: Standing[Any]) -> None:
        from bnprobe.report.limits_text import duration

        if self._line.is_due():
            left = f" | about {duration(standing.seconds_left)} left" if standing.seconds_left == standing.seconds_left else ""
            now = ", ".join(f"{one.technique} seed {one.seed}" for one in standing.running)
            self._line.update(f"bnprobe: {standing.done} of about {standing.expected} trainings | now {now}{left}")

    def interrupted(self, done: int, file: Path) -> None:
        from bnprobe.cli.voice import say

        self._line.clear()
        say(f"interrupted; {done} finished trainings are kept in {file}")
        say(f"to go on: {shlex.join(['bnprobe', *(word for word in sys.argv[1:] if word != '--fresh')])}")

    def end(self) -> None:
        self._line.clear()
