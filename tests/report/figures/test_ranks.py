from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bnprobe.analyse.views import RunView
from bnprobe.report.figures.ranks import loss_of_ranks
from tests.synthetic_runs import residual_recording


def test_the_number_of_a_rank_is_drawn_as_it_stands() -> None:
    ranks = [residual_recording(steps=20).run() for _ in range(2)]
    for run, number in zip(ranks, ("0", "<b>1"), strict=True):
        run.attributes["rank"] = number
    merged = residual_recording(steps=20).run()
    merged.ranks.extend(ranks)
    analysed: Any = SimpleNamespace(run=RunView.of(merged))
    assert [one.name for one in loss_of_ranks(analysed).data] == ["rank 0", "rank &lt;b&gt;1", "merged"]
