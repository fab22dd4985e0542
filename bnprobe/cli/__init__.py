"""The command line: one file per command; each parses, calls and prints.

Nothing heavy is imported at this level, so that ``bnprobe --help`` answers at once.
"""

from bnprobe.cli.app import app, main

__all__ = ["app", "main"]
