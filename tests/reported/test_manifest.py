"""The list of reported faults and the scripts beside it name each other; what the scripts train is not run here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bnprobe.diagnose.verdict import CAUSES

HERE = Path(__file__).parent
ENTRIES = json.loads((HERE / "manifest.json").read_text())
SCRIPTS = sorted(
    path.name for path in HERE.glob("*.py") if path.name not in {"__init__.py", "score.py", "test_score.py", Path(__file__).name}
)


def test_every_script_has_one_entry_and_every_entry_a_script():
    assert sorted(entry["file"] for entry in ENTRIES) == SCRIPTS


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_an_entry_is_complete(entry):
    assert set(entry) == {"file", "batch", "cause", "where", "faulty", "fixed", "source", "expect", "seen", "named", "honest", "partly"}
    assert isinstance(entry["seen"], bool)
    assert entry["batch"] in {1, 2, 3, 5, 6, 7, 8, 9}
    assert set(entry["named"] + entry["partly"]) <= set(CAUSES)
    assert set(entry["honest"]) <= {"healthy", "inconclusive", "stuck"}
    empty = [key for key, value in entry.items() if isinstance(value, str) and not value.strip() and key != "where"]
    assert not empty
    assert entry["faulty"] != entry["fixed"]


def test_places_are_those_of_programs_in_the_list():
    places = json.loads((HERE / "places.json").read_text())
    assert set(places) <= set(SCRIPTS)
    assert all(set(place) == {"layers", "operations"} and any(place.values()) for place in places.values())


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_has_a_twin_without_the_fault(script):
    source = (HERE / script).read_text()
    compile(source, script, "exec")
    assert source.count("args.fixed") >= 1
    assert source.count("RESULT") == 1


@pytest.mark.slow
def test_a_script_refuses_an_option_it_does_not_know():
    run = subprocess.run([sys.executable, HERE / SCRIPTS[0], "--repaired"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "--repaired" in run.stderr
