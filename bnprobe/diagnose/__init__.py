"""Quantities in, findings out: what went wrong, where, when, on what evidence, and what to do."""

from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.text import verdict_line
from bnprobe.diagnose.verdict import diagnose

__all__ = ["Diagnosis", "Evidence", "Finding", "diagnose", "verdict_line"]
