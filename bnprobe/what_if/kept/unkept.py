"""Why something is not in a file of tapes, or cannot be read from one."""

from __future__ import annotations


class Unkept(Exception):
    """A tape holds what cannot be written as numbers and words; the message names it."""


class Unreadable(Exception):
    """A file of tapes does not say what it should; the message says where."""
