"""The part of plotly.js that a page holds is what was published, and all that the figures need."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

import bnprobe.report
from bnprobe.report.plotly_bundle import FILE, SHA256, TRACES, VERSION, plotly_js

FIGURES = Path(bnprobe.report.__file__).with_name("figures")
#: Methods of a figure that add something other than a trace.
NO_TRACES = {"annotation", "shape", "traces"}


def test_it_is_the_published_file_with_its_licence() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == SHA256
    assert f"plotly.js (cartesian - minified) v{VERSION}" in plotly_js()[:100]
    assert "MIT License" in FILE.with_name("LICENSE").read_text(encoding="utf-8")


def test_it_may_stand_in_a_script_element() -> None:
    assert not re.search(r"</script|<!--", plotly_js(), re.IGNORECASE)


def test_it_draws_every_kind_of_trace() -> None:
    drawn = set()
    for file in FIGURES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "figure" and node.attr.startswith("add_"):
                    drawn.add(node.attr.removeprefix("add_"))
                if node.value.id == "go" and node.attr not in ("Figure", "Frame"):
                    drawn.add(node.attr.lower())
    assert drawn - NO_TRACES <= TRACES
    assert {"scatter", "heatmap"} <= drawn
