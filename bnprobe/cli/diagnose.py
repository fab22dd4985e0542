"""``bnprobe diagnose``: name the cause of what a run file shows, for a person or for a program."""

from __future__ import annotations

import textwrap
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

#: Exit status where ``--fail-on`` is met; 1 and 2 are taken by files that cannot be read and by usage.
FOUND = 3


class FailOn(str, Enum):
    """The least severity that fails."""

    ERROR = "error"
    WARNING = "warning"


def diagnose(
    runs: Annotated[
        list[Path], typer.Argument(help="A run file, or those of all ranks of a training.", show_default=False, metavar="RUN...")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a document for programs (schema bnprobe-diagnosis-1).")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print the findings as SARIF 2.1.0, for a code host.")] = False,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", metavar="error|warning", help="End with status 3 when a finding is at least this severe.")
    ] = None,
) -> None:
    """Name what went wrong in a run: the cause first, what follows from it, where, when, and what to do.

    \b
      bnprobe diagnose run.h5
      bnprobe diagnose run.rank*.h5                 the ranks of one training, merged
      bnprobe diagnose run.h5 --fail-on error        in CI: status 3 when the training failed
      bnprobe diagnose run.h5 --json | jq .verdict
      bnprobe diagnose run.h5 --sarif > run.sarif
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.diagnose import diagnose as diagnose_run
    from bnprobe.diagnose.document import to_json
    from bnprobe.diagnose.text import WIDTH, printable, to_text
    from bnprobe.diagnose.trials import with_trials
    from bnprobe.errors import UsageError
    from bnprobe.integrations.sarif import to_sarif
    from bnprobe.ranks import read_training
    from bnprobe.report.ranks_text import ranks_of
    from bnprobe.report.tolerance_story import line_of

    if as_json and as_sarif:
        raise UsageError("--json and --sarif are two documents", "ask for one of them")
    recorded = read_training(runs, "diagnose")
    diagnosis = with_trials(diagnose_run(recorded), recorded)
    print(to_json(diagnosis) if as_json else to_sarif(diagnosis) if as_sarif else to_text(diagnosis))
    if not (as_json or as_sarif) and (told := ranks_of(diagnosis.analysis)):
        paragraphs = [textwrap.fill(printable(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False) for sentence in told]
        print("\nranks: " + "\n  ".join(paragraphs))
    if not (as_json or as_sarif) and (limit := line_of(diagnosis.analysis.recorded)):
        sentence = f"limit: {limit[:1].lower()}{printable(limit[1:])}."
        print(f"\n{textwrap.fill(sentence, WIDTH, subsequent_indent='  ', break_on_hyphens=False)}")
    grave = {FailOn.ERROR: {"error"}, FailOn.WARNING: {"error", "warning"}}[fail_on] if fail_on else set()
    if any(finding.severity in grave for finding in diagnosis):
        raise typer.Exit(FOUND)
