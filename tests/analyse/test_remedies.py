from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bnprobe.analyse.remedies import MOST_NAMED, remedies_of
from bnprobe.store.reader import Run
from tests.synthetic_runs import residual_recording

MSR = {"specification": "msr:w=0.9", "what": "convolution kernels", "count": 2, "touched": ["conv1", "conv2"]}


def run_with(text: str | int) -> Run:
    run = residual_recording(steps=0).run()
    return replace(run, attributes={**run.attributes, "remedies": text})


def told(text: str | int) -> list[tuple[str, str]]:
    return [(one.specification, one.touched) for one in remedies_of(run_with(text))]


def test_remedies_are_told_in_order_with_what_they_touched() -> None:
    clip = {"specification": "clip-norm", "what": "parameters", "count": 9, "touched": []}
    assert told(json.dumps([MSR, clip])) == [("msr:w=0.9", "2 convolution kernels: conv1, conv2"), ("clip-norm", "9 parameters")]


def test_of_many_names_some_are_told() -> None:
    names = [f"layer{i}" for i in range(100)]
    ((_, touched),) = told(json.dumps([{**MSR, "count": 130, "touched": names}]))
    assert touched.endswith(f"layer{MOST_NAMED - 1} and {130 - MOST_NAMED} more")


def test_a_run_without_remedies_has_none() -> None:
    assert remedies_of(residual_recording(steps=0).run()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "null", "7", '"msr"', '{"specification": "msr"}', "[1, null, []]", '[{"name": "msr"}]', "[" * 100_000, 7]
)
def test_garbage_is_no_remedy(text: str | int) -> None:
    assert told(text) == []


def test_an_entry_with_little_in_it_says_what_it_can() -> None:
    text = json.dumps([{"specification": "msr", "touched": ["a", 1], "count": "many"}, {"specification": "agc", "touched": 3}])
    assert told(text) == [("msr", "1 parts of the model: a"), ("agc", "0 parts of the model")]
