from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.report.page import render, write_page
from bnprobe.report.paper import figures_by_name
from bnprobe.store.limits_file import write_limits
from tests.limit_trials import trials
from tests.report.test_limits_page import limits


def test_trials_stand_beside_the_run_they_belong_to(run_file: Callable[[str], Path]) -> None:
    hostile = "<script>alert(1)</script>"
    page = " ".join(render([run_file("exploding")], limits=[limits(script=hostile), limits([])]).split())
    section = page.split('<section id="limits">')[1].split("</section>")[0]
    assert "The script trains up to a learning rate somewhere between 0.1 and 0.15." in section
    assert "between 16.7 and 55.9" in section and "No trial has ended yet." in section
    assert hostile not in page and html.escape(hostile) in section
    assert section.count('class="plot"') == 2 and '"limits-0-survival"' in page and '"limits-1-survival"' not in page
    assert '<a href="#limits">' in page


def test_a_page_of_a_run_alone_has_no_such_section(run_file: Callable[[str], Path]) -> None:
    assert 'id="limits"' not in render([run_file("exploding")])


def test_files_of_both_kinds_make_one_page_and_its_images(tmp_path: Path, run_file: Callable[[str], Path]) -> None:
    write_limits(tmp_path / "limits.h5", {"script": "train.py", "steps": 20, "status": "finished", "own_rate": 0.1}, trials(), [])
    paths = [tmp_path / "limits.h5", run_file("exploding")]
    assert len(write_page(paths, tmp_path / "page.html")) == 1
    assert "Learning rates that were tried" in (tmp_path / "page.html").read_text()
    assert {"limits-0-survival", "limits-0-final", "loss"} <= set(figures_by_name(paths))


def test_several_files_of_trials_want_a_run(tmp_path: Path) -> None:
    for name in "ab":
        write_limits(tmp_path / f"{name}.h5", {"script": "train.py"}, trials(), [])
    with pytest.raises(UsageError, match="2 files of learning-rate trials and no run"):
        write_page([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "page.html")
