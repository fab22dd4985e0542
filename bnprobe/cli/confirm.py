"""``bnprobe confirm``: put a verdict to the test by training the unedited script again with the cause taken away."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from bnprobe.cli import script, trial_resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnprobe.diagnose.diagnosis import Diagnosis
    from bnprobe.experiments.confirm import Plan
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.store.confirm_file import Confirmation, Trial
    from bnprobe.store.reader import Run

#: Exit statuses: a cause was confirmed, as for ``diagnose --fail-on``; or causes were tested, and none was.
CONFIRMED, UNCONFIRMED = 3, 4


class RunOrScript(typer.core.TyperCommand):
    """Takes options behind a run file, as other commands do; what follows a script is its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move a run file behind the options, which end at the first argument."""
        place = next((i for i, word in enumerate(args) if _is_hdf5(Path(word)) and args[i - 1 : i] not in (["-o"], ["--output"])), None)
        if place is not None and not any(word == "-m" or Path(word).exists() for word in args[:place]):
            args = [*args[:place], *args[place + 1 :], args[place]]
        return super().parse_args(ctx, args)


def confirm(
    target: Annotated[
        str, typer.Argument(metavar="RUN|TARGET", help="A run file; or a script, or a module with -m, to record first.", show_default=False)
    ],
    arguments: script.Arguments = None,
    module: script.Module = False,
    cause: Annotated[
        list[str] | None,
        typer.Option(
            "--cause",
            metavar="ID",
            help="Test this cause, beside the verdict; repeatable (default: the first three candidates).",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=20, metavar="N", help="Optimizer steps of each trial (default: as many as recorded).", show_default=False
        ),
    ] = None,
    jobs: trial_resources.Jobs = None,
    executor: trial_resources.Executor = "local",
    cpus: trial_resources.Cpus = None,
    gpus: trial_resources.Gpus = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The run file, where TARGET is recorded first.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make all trials again, even if some were made before.")] = False,
) -> None:
    """Put a verdict to the test: train the script again as it is, at a tenth of its rate, and with each candidate cause taken away.

    A cause is confirmed when the training does clearly better without it, and better than at a tenth of the rate; it is refuted when
    taking it away changes nothing. Each trial runs the unedited script in a process of its own, on a copy-on-write view of the file
    system. What was found stays beside the run file, where diagnose and report read it. Typed again, the command resumes.

    Ends with status 0 where there is nothing to confirm, 3 where a cause is confirmed, 4 where none is.

    \b
      bnprobe confirm run.h5
      bnprobe confirm train.py --lr 0.1             record it first
      bnprobe confirm run.h5 --cause weight-decay-too-strong      is it that?
      bnprobe confirm run.h5 --json | jq .confirmed
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.cli.interruption import terminable
    from bnprobe.cli.voice import say
    from bnprobe.diagnose import diagnose
    from bnprobe.experiments.confirm import Confirming
    from bnprobe.experiments.counterfactuals import AGAIN
    from bnprobe.experiments.executors.catalogue import Resources
    from bnprobe.report.confirm_text import table
    from bnprobe.store.confirm_file import confirm_file_of
    from bnprobe.store.reader import read_run

    resources = Resources(executor, jobs, cpus, gpus)
    with resources.open() as runs:  # before anything is recorded: a cluster that is not there is told at once
        path = _recording(target, arguments or [], module, output)
        run = read_run(path)
        diagnosis = diagnose(run)
        plan = _plan(run, diagnosis, cause or [], steps, resources)
        if not plan.causes:
            _nothing_to_confirm(diagnosis, as_json)
            return
        file = confirm_file_of(path)
        key = _key(run, plan)
        before = None if fresh else _earlier_trials(file, key)
        voice = _Voice(plan)
        voice.begin(diagnosis.verdict.id, file, before)
        confirming = Confirming(plan, runs, run, file, before, key, voice.trial, voice.waiting)
        try:
            with terminable():
                found = confirming.run()
        except KeyboardInterrupt:
            voice.end()
            say(f"interrupted; {len(confirming.trials)} finished trials are kept in {file}")
            say(f"to go on: {shlex.join(_again(path, cause, steps, resources))}")
            raise typer.Exit(130) from None
        finally:
            voice.end()
        trial_resources.tell_of_start(runs)
        not_shared = runs.not_shared
    if AGAIN in confirming.trials:
        say(
            "the script does not repeat its recording: it draws its own random numbers, or has changed; it was run twice to see by how much"
        )
    print(json.dumps(_document(diagnosis, found, not_shared), indent=2, allow_nan=False) if as_json else table(found))
    raise typer.Exit(CONFIRMED if any(one.word == "confirmed" for one in found.judgements) else UNCONFIRMED)


def _again(path: Path, cause: list[str] | None, steps: int | None, resources: Resources) -> list[str]:
    """The command that goes on, with the recording in place of what was recorded."""
    options = [*(word for one in cause or [] for word in ("--cause", one))]
    options += ["--steps", str(steps)] if steps else []
    options += resources.options
    return ["bnprobe", "confirm", *options, str(path)]


def _recording(target: str, arguments: list[str], module: bool, output: Path | None) -> Path:
    """Return the run file, recorded now where a script was named."""
    import subprocess

    from bnprobe import start
    from bnprobe.errors import RunFileError, UsageError
    from bnprobe.launch.output import check_output, default_output
    from bnprobe.launch.target import resolve

    named = Path(target)
    if not module and (named.suffix == ".h5" or _is_hdf5(named)):
        if arguments:
            raise UsageError(f"'{target}' is a run file and takes no arguments: {shlex.join(arguments)}", "bnprobe confirm --help")
        return named
    resolved = resolve(target, module, arguments)
    file = output or default_output(resolved.label)
    check_output(file, force=False)
    words = [*(["-m"] if module else []), target, *arguments]
    subprocess.run([*start.command("bnprobe.cli"), "record", "-o", str(file), *words], check=False)
    if not file.exists():
        raise RunFileError(f"nothing was recorded of {target}", "bnprobe record says why")
    return file


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


def _plan(run: Run, diagnosis: Diagnosis, causes: list[str], steps: int | None, resources: Resources) -> Plan:
    import difflib

    from bnprobe.analyse.remedies import remedies_of
    from bnprobe.errors import UsageError
    from bnprobe.experiments.confirm import Plan, causes_to_test
    from bnprobe.experiments.counterfactuals import TESTS
    from bnprobe.experiments.order import Script

    for one in causes:
        if one not in TESTS:
            near = difflib.get_close_matches(one, TESTS, n=2)
            raise UsageError(f"--cause {one} is unknown", f"did you mean {' or '.join(near)}?" if near else "bnprobe diagnose names causes")
    name, arguments, is_module = _script(run)
    folder = str(run.attributes.get("cwd", ""))
    if not Path(folder).is_dir():
        raise UsageError(f"{run.path} was recorded in '{folder}', which is not there any more", "record it again where the script is now")
    if not is_module and not Path(folder, name).exists():
        raise UsageError(
            f"the script of {run.path}, '{Path(folder, name)}', is not there any more", "bnprobe confirm SCRIPT records it anew"
        )
    if str(run.attributes.get("world_size", "1")) != "1":
        raise UsageError(f"{run.path} is one of {run.attributes['world_size']} processes that trained together", "record it in one process")
    backwards = int(run.attributes.get("backwards_without_update", 0))  # of a script whose optimizer took no step
    whole = run.trained_steps or backwards
    return Plan(
        script=Script(name, is_module, tuple(arguments)),
        cwd=folder,
        remedies=tuple(dict.fromkeys(one.specification for one in remedies_of(run))),
        causes=causes_to_test(diagnosis, causes),
        steps=steps or whole,
        # What leaps is lost, and what is not finite at one batch may go on: with that mended its loss may leap there, and come back.
        until_diverged=(lost := diagnosis.analysis.divergence) is not None and lost.reason != "non-finite loss",
        is_whole=run.status == "finished" and steps in (None, whole),
        jobs=resources.at_once,
        threads=resources.threads if resources.is_shared_out else None,
    )


def _script(run: Run) -> tuple[str, list[str], bool]:
    """What was recorded: its name, its arguments, whether it is a module."""
    from bnprobe.errors import UsageError

    try:
        name, *arguments = [str(word) for word in json.loads(str(run.attributes["argv"]))]
    except (KeyError, ValueError):
        raise UsageError(
            f"{run.path} does not say which script it is a recording of",
            "record the script with `bnprobe record`, or `bnprobe confirm SCRIPT`",
        ) from None
    return name, arguments, str(run.attributes.get("script", "")).startswith("-m ")


def _key(run: Run, plan: Plan) -> dict[str, str | int]:
    """What trials must have in common to stand in one file."""
    import hashlib

    from bnprobe.store.confirm_file import recording_key

    source = Path(plan.cwd, plan.script.name)
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if not plan.script.is_module and source.is_file() else ""
    return {**recording_key(run), "steps": plan.steps, "script_digest": digest}


def _earlier_trials(file: Path, key: dict[str, str | int]) -> Confirmation | None:
    """Return what the file holds already, if it belongs to the same recording and script under the same conditions."""
    from bnprobe.cli.voice import say
    from bnprobe.errors import UsageError
    from bnprobe.store.confirm_file import read_confirmation

    if not file.exists():
        return None
    found = read_confirmation(file)
    if found.key == key:
        return found
    differs = next(name for name in key if found.key.get(name) != key[name])
    told = {"steps": "--steps", "script_digest": "the script, which has changed"}.get(differs, "the recording")
    if differs in ("steps", "script_digest"):
        raise UsageError(f"'{file}' holds trials that differ in {told}", "--fresh replaces them")
    say(f"{file} holds trials of an older recording; they are made anew")
    return None


def _nothing_to_confirm(diagnosis: Diagnosis, as_json: bool) -> None:
    verdict = diagnosis.verdict
    if as_json:
        nothing: dict[str, Any] = {"verdict": verdict.id, "confirmed": [], "refuted": [], "undecided": [], "causes": [], "trials": []}
        print(json.dumps(nothing, indent=2))
    elif verdict.severity == "info":
        print(f"nothing to confirm: the verdict is {verdict.id}")
    else:
        print(f"nothing to confirm: the verdict is {verdict.id}, and no cause comes near")


def _document(diagnosis: Diagnosis, found: Confirmation, not_shared: str) -> dict[str, Any]:
    from bnprobe.store.confirm_file import trial_document

    by_word = {word: [one.cause for one in found.judgements if one.word == word] for word in ("confirmed", "refuted", "undecided")}
    return {
        "verdict": diagnosis.verdict.id,
        **by_word,
        "causes": [{"id": one.cause, "word": one.word, "reason": one.reason, "trial": one.trial} for one in found.judgements],
        "trials": [trial_document(one) for one in found.trials],
        "not_forked": not_shared or None,
    }


class _Voice:
    """What the command says while it works: on stderr, so that its table can be piped."""

    def __init__(self, plan: Plan) -> None:
        from bnprobe.cli.status_line import on_stderr

        self._plan = plan
        self._line = on_stderr()
        self._done = 0

    def begin(self, verdict: str, file: Path, before: Confirmation | None) -> None:
        from bnprobe.cli.voice import say

        say(f"the verdict is {verdict}; to be tested: {', '.join(self._plan.causes)}")
        say(f"trials of {self._plan.steps} steps; results go to {file}")
        if before is not None and before.trials:
            self._done = len(before.trials)
            say(f"going on: {len(before.trials)} trials were made before and are not repeated")

    def trial(self, trial: Trial) -> None:
        from bnprobe.cli.voice import say
        from bnprobe.report.confirm_text import trial_line

        self._done += 1
        self._line.clear()
        say(trial_line(trial))

    def waiting(self, running: Sequence[tuple[str, float]]) -> None:
        if self._line.is_due():
            now = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in running)
            self._line.update(f"bnprobe: {self._done} trials made | now {now}")

    def end(self) -> None:
        self._line.clear()
