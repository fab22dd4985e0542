"""The commands brought together, and the one place where an error becomes a message and an exit status."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from typing import Annotated

import typer

from bnprobe import __version__
from bnprobe.cli import (
    audit,
    compare,
    confirm,
    demo,
    diagnose,
    export,
    inspect,
    lr_limit,
    mcp,
    record,
    remedies,
    report,
    track,
    watch,
    what_if,
)
from bnprobe.errors import BnprobeError

_DESCRIPTION = """A flight recorder for neural-network training.

Record an unedited training script, then read in a browser why it diverged: which layer deviated from its baseline first, at which step,
and why.

\b
  bnprobe record train.py --lr 0.1     run train.py and record its training
  bnprobe report bnprobe-train.7.h5    write one page that says what happened
  bnprobe diagnose bnprobe-train.7.h5  name the cause in the terminal, or for CI
  bnprobe audit bnprobe-train.7.h5     say what batch norm and its like cost it
  bnprobe confirm bnprobe-train.7.h5   train it again without the cause, to see whether it is the one
  bnprobe inspect bnprobe-train.7.h5   say what the file holds
  bnprobe watch bnprobe-train.7.h5     follow it in the terminal while it is recorded
  bnprobe track bnprobe-train.7.h5 --to wandb   write its findings to an experiment tracker
  bnprobe export bnprobe-train.7.h5 --to csv    write its tables for another tool
  bnprobe mcp bnprobe-train.7.h5       answer questions about it over the Model Context Protocol
  bnprobe what-if bnprobe-train.7.h5   say at which rates it would have trained, after record --what-if
  bnprobe lr-limit train.py --lr 0.1   find the largest rate that trains, with and without remedies
  bnprobe compare train.py --lr 0.1    compare techniques, each at its own best rate, by what was held out
  bnprobe remedies                     list what record --remedy can change about a training
  bnprobe demo                         see all of it on two small networks
"""

# typer carries its own copy of click, whose errors have no public name: this is the base of all that parsing raises.
_ParseError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="bnprobe",
    help=_DESCRIPTION,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What follows the target belongs to the script, options with names like ours included.
app.command(context_settings={"allow_interspersed_args": False})(record.record)
app.command(context_settings={"allow_interspersed_args": False})(lr_limit.lr_limit)
app.command(context_settings={"allow_interspersed_args": False})(compare.compare)
app.command(cls=confirm.RunOrScript, context_settings={"allow_interspersed_args": False})(confirm.confirm)
app.command()(report.report)
app.command()(diagnose.diagnose)
app.command()(audit.audit)
app.command()(inspect.inspect)
app.command()(watch.watch)
app.command()(track.track)
app.command()(export.export)
app.command()(mcp.mcp)
app.command("what-if")(what_if.what_if)
app.command()(remedies.remedies)
app.command()(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bnprobe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an internal error.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; leaves through ``sys.exit``, or the way a recorded script leaves."""
    # Asked of the raw arguments, since an error may come before they are parsed; only ahead of a command is it ours.
    debug = sys.argv[1:2] == ["--debug"]
    try:
        if "bnprobe.launch.children" in sys.modules:  # a script has started this process whose processes are recorded; it is none of them
            from bnprobe.launch.children import step_aside

            step_aside()
        # Not through app(): that would leave typer's own sys.excepthook in the script's interpreter.
        outcome = typer.main.get_command(app).main(prog_name="bnprobe", standalone_mode=False)
        if callable(outcome):
            # `record` hands its script back, so that it runs out of reach of the parser's own handling of
            # EOFError, broken pipes and Ctrl-C.
            outcome()
            outcome = 0
        sys.exit(outcome)
    except BnprobeError as error:
        _fail(debug, str(error), error.hint, error.exit_status)
    except _ParseError as error:
        text = _text_of(error)
        _fail(debug, text, text and _help_for(error), 2)
    except typer.Abort:
        _fail(debug, "interrupted", None, 130)
    except BrokenPipeError:  # `bnprobe inspect run.h5 | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        hint = f"a fault of bnprobe; the traceback helps its authors: bnprobe --debug {shlex.join(sys.argv[1:])}"
        _fail(debug, f"{type(error).__name__}: {error}", hint, 1)


def _fail(debug: bool, message: str, hint: str | None, exit_status: int) -> None:
    if debug:
        traceback.print_exc()
    if message:  # there is none where the parser has shown the help instead
        print(f"bnprobe: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    sys.exit(exit_status)


def _text_of(error: Exception) -> str:
    """Return the parser's message as a clause: "No such option: --evry (Possible options: --every)" and the like."""
    text = str(error.format_message() if hasattr(error, "format_message") else error).strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _help_for(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'bnprobe'} --help"
