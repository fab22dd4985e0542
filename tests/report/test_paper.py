"""The figures of a page as files take them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnprobe.report.paper import UNSEEN, WIDTH, _file_name, figures_by_name
from tests import synthetic_runs
from tests.synthetic_runs import residual_recording


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return residual_recording(steps=6, blocks=1).write(tmp_path_factory.mktemp("paper") / "run.h5")


def test_every_figure_has_a_name_that_a_file_may_have(run: Path, tmp_path: Path) -> None:
    found = figures_by_name([run])
    assert {"loss", "map-activation-rms", "profile-activation"} <= set(found)
    assert not [name for name in found if name.endswith("-0")]
    both = figures_by_name([run, synthetic_runs.hostile_names(tmp_path / "a b<c>.h5")])
    assert {"loss-run", "loss-a_b_c_"} <= set(both)


def test_names_that_would_be_alike_get_a_number() -> None:
    taken: set[str] = set()
    names = ["loss-a b", "loss-a_b", "loss-A b", 130 * "x", 125 * "x"]
    assert [_file_name(name, taken) for name in names] == ["loss-a_b", "loss-a_b-2", "loss-A_b-3", 120 * "x", 120 * "x" + "-2"]


def test_a_figure_on_paper_has_dark_text_on_white_and_grey_for_what_was_not_seen(run: Path) -> None:
    found = figures_by_name([run])
    assert found["loss"]["layout"]["paper_bgcolor"] == found["loss"]["layout"]["plot_bgcolor"] == "white"
    assert found["map-activation-rms"]["layout"]["plot_bgcolor"] == UNSEEN
    assert all(figure["layout"]["width"] == WIDTH for figure in found.values())
