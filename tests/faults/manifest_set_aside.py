"""The programs that nobody tunes the rules on: name by cause, then where the fault is and when it begins."""

from __future__ import annotations

from tests.faults.program import Catalogue

SET_ASIDE: Catalogue = {}
