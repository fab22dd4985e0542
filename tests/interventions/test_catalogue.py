"""The catalogue, read without torch, and what is behind its entries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bnprobe.interventions.catalogue import ENTRIES, Entry
from bnprobe.interventions.intervention import Intervention


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_leads_to_its_intervention(entry: Entry) -> None:
    made = entry.load()(100)
    assert isinstance(made, Intervention)
    assert made.entry is entry
    assert made.refusal() == made.nothing
    assert made.nothing[0].islower() and not made.nothing.endswith("."), "a clause that goes into a sentence"


def test_names_are_unique() -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.slow
def test_the_catalogue_needs_no_torch() -> None:
    code = "import sys; import bnprobe.interventions.catalogue, bnprobe.experiments.confirm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
