"""The one family of errors that bnprobe raises on purpose.

BnprobeError
├── UsageError      the command line cannot be carried out (exit status 2)
├── RunFileError    a run file cannot be written or read (exit status 1)
├── ResumeError     a recording cannot go on in a run file (exit status 2)
├── RemedyError     a remedy cannot be applied (exit status 2)
│   └── NothingToActOn   ... because there is nothing for it here
│       └── TreatedAlready   ... but what it has treated before
└── CurvatureError  a loss has no second derivative that can be computed

The command line prints ``bnprobe: message`` and ``hint: ...`` for each of them and never a traceback.
"""

from __future__ import annotations


class BnprobeError(Exception):
    """What happened, with the value; what was expected; and, as ``hint``, what to do."""

    exit_status = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BnprobeError):
    """The command line cannot be carried out as given."""

    exit_status = 2


class RunFileError(BnprobeError):
    """A run file cannot be written or read."""


class ResumeError(BnprobeError):
    """A recording cannot go on in a run file: another model, or ranks that could not agree on the step."""

    exit_status = 2


class RemedyError(BnprobeError):
    """A remedy cannot be applied to this training."""

    exit_status = 2


class NothingToActOn(RemedyError):
    """A remedy finds nothing in these modules that it could act on."""


class TreatedAlready(NothingToActOn):
    """All that a remedy finds in these modules it has treated before."""


class CurvatureError(BnprobeError):
    """A loss has no second derivative that can be computed."""
