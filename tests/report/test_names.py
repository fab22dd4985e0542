from __future__ import annotations

from pathlib import Path

import pytest

from bnprobe.report.names import LONGEST_TICK, common_prefix, figure_text, run_labels, short_name, tick_names
from bnprobe.store.reader import Run


def run(path: str) -> Run:
    return Run(Path(path), {}, [], [], [], [], [], {})


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a<b", "&lt;b&gt;", "x\x1b[31m\x00y", "z" * 500])
def test_figure_text_leaves_no_markup_and_no_control_characters(text: str) -> None:
    shown = figure_text(text)
    assert "<" not in shown and ">" not in shown
    assert not any(ord(character) < 32 for character in shown)
    assert len(shown) < 140


def test_figure_text_shows_entities_as_they_were_typed() -> None:
    assert figure_text("&lt;") == "&amp;lt;"


def test_common_prefix_stops_at_whole_components() -> None:
    assert common_prefix(["net.stage1.a", "net.stage2.a"]) == "net."
    assert common_prefix(["net.conv", "network.conv"]) == ""
    assert common_prefix(["alone.conv"]) == ""


@pytest.mark.parametrize("name", ["conv1", "a" * 200, ".".join(["transformer"] * 30), "café.層1"])
def test_short_names_fit_an_axis_and_keep_the_end(name: str) -> None:
    short = short_name(name)
    assert len(short) <= LONGEST_TICK
    assert short[-1] == name[-1]


def test_tick_names_are_few_and_begin_with_the_first_layer() -> None:
    ticks, names = tick_names([f"net.layer{i}.conv" for i in range(200)], most=20)
    assert len(ticks) == len(names) <= 20
    assert (ticks[0], names[0]) == (0, "layer0.conv")


def test_tick_names_are_escaped() -> None:
    assert tick_names(["<b>"], most=5) == ([0], ["&lt;b&gt;"])


def test_equal_stems_are_told_apart() -> None:
    assert run_labels([run("a/x.h5"), run("b/x.h5")]) == [str(Path("a/x")), str(Path("b/x"))]
    assert len(set(run_labels([run("x.h5"), run("x.h5")]))) == 2
