"""What is handed over of many evaluations."""

from __future__ import annotations

import itertools
import json

from bnprobe.observe.compared.compared import LONGEST, written
from bnprobe.store.hdf5_session import LONGEST_TEXT

EVALUATION = {"step": 0, "loss": 0.123456789, "accuracy": 0.5, "samples": 64, "kind": "cross_entropy_loss", "source": "losses"}


def test_many_evaluations_have_room_in_the_file() -> None:
    many = [{**EVALUATION, "step": step} for step in range(1000)]
    text = written(many)
    kept = [one["step"] for one in json.loads(text)]
    assert len(text) <= LONGEST <= LONGEST_TEXT
    assert kept[-1] == 999 and len(kept) > 20
    assert len({after - before for before, after in itertools.pairwise(kept)}) == 1, "evenly"


def test_a_few_are_all_kept_but_for_those_that_held_nothing_out() -> None:
    few = [{**EVALUATION, "step": step, "samples": step % 2} for step in range(10)]
    assert json.loads(written(few)) == few[1::2]
    assert json.loads(written([{**EVALUATION, "samples": 0}] * 3)) == [{**EVALUATION, "samples": 0}]
    assert json.loads(written([])) == []
