from __future__ import annotations

import dataclasses

import numpy as np

from bnprobe.analyse.what_if import CURVE_PLACES, RemedyAnswer, Retrained, WhatIf
from bnprobe.report.figures.what_if import curves, left_out, what_if_figure
from bnprobe.store.limits_file import factor_of


def trained(remedy: str, factor: float, outcome: str, losses: list[float], on_grid: bool = False) -> Retrained:
    return Retrained(remedy, factor, 0.1 * factor, on_grid, outcome, "", np.array(losses))


def answers() -> WhatIf:
    none = [trained("none", 0.1, "trains", [2.0, 1.9]), trained("none", 1.0, "trains", [2.0, 1.5], True)]
    none += [trained("none", 5.0, "stuck", [2.0, 2.1], True), trained("none", 10.0, "diverges", [2.0, float("inf")])]
    msr = [trained("msr", 1.0, "trains", [2.1, 1.4], True), trained("msr", 10.0, "trains", [2.1, 1.0])]
    remedies = {"none": RemedyAnswer("none", none), "msr": RemedyAnswer("msr", msr)}
    return WhatIf(2, 0.1, True, remedies, [], [], 1.0, 10)


def test_the_rates_of_the_curves_are_drawn_in_a_field_each() -> None:
    figure = what_if_figure(answers())
    assert [trace.xaxis for trace in figure.data] == ["x", "x", "x", "x2", "x2"]
    assert [trace.name for trace in figure.data][:3] == ["rate 0.01", "rate 0.1 (the script's own)", "rate 1"]
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    assert np.isnan(figure.data[2].y[1]), "what is not finite is not drawn"


def test_trainings_of_the_search_are_left_out() -> None:
    assert [one.factor for one in curves(answers().remedies["none"])] == [0.1, 1.0, 10.0]


def test_a_rate_without_a_curve_is_told_with_the_reason() -> None:
    diverges = trained("none", factor_of(6), "diverges", [2.0, float("inf")], True)
    none = [trained("none", 1.0, "trains", [2.0, 1.5], True), trained("none", factor_of(3), "trains", [2.0, 1.2], True), diverges]
    msr = [trained("msr", 1.0, "trains", [2.1, 1.0], True), trained("msr", factor_of(6), "trains", [2.1, 1.4], True)]
    found = dataclasses.replace(answers(), remedies={"none": RemedyAnswer("none", none), "msr": RemedyAnswer("msr", msr)})
    less = "would learn less: of two faster rates the slower ended at the higher loss, or came to it later"
    cost = "the search did not need: more trainings of these 2 steps would have cost more than is promised"
    assert left_out(found) == [
        f"no remedy: no curve at 0.00894 and 0.0299, which {less}",
        f"msr: no curve at 0.00894 and 0.0299 and 0.334, which {cost}",
    ]
    slow = [trained("none", factor_of(place), "trains", [2.0, 1.5], True) for place in CURVE_PLACES]
    assert left_out(dataclasses.replace(found, remedies={"none": RemedyAnswer("none", slow)})) == []


def test_a_rate_looks_alike_in_all_fields() -> None:
    found = answers()
    none = [trained("none", factor_of(place), "trains", [2.0, 1.5], True) for place in CURVE_PLACES]
    msr = [none[0], none[2], none[4]]
    remedies = {"none": RemedyAnswer("none", none), "msr": RemedyAnswer("msr", msr)}
    figure = what_if_figure(dataclasses.replace(found, remedies=remedies))
    lines = {(trace.xaxis, trace.name): (trace.line.color, trace.line.dash) for trace in figure.data}
    assert {name: line for (axis, name), line in lines.items() if axis == "x2"}.items() <= {
        name: line for (axis, name), line in lines.items() if axis == "x"
    }.items()
    assert len({line for (axis, _), line in lines.items() if axis == "x"}) == len(CURVE_PLACES)


def test_where_curves_are_few_the_ends_of_the_bracket_are_drawn() -> None:
    none = [trained("none", factor_of(place), "trains", [2.0, 1.5], True) for place in (0, 3, 6)]
    msr = [trained("msr", factor_of(place), "trains" if place < 9 else "diverges", [2.0, 1.5], True) for place in (0, 7, 8, 9, 12)]
    remedies = {"none": RemedyAnswer("none", none), "msr": RemedyAnswer("msr", msr)}
    figure = what_if_figure(dataclasses.replace(answers(), remedies=remedies))
    drawn = {axis: [trace.name for trace in figure.data if trace.xaxis == axis] for axis in ("x", "x2")}
    assert drawn["x"] == ["rate 0.1 (the script's own)", "rate 0.334", "rate 1.12"]
    assert drawn["x2"] == ["rate 0.1 (the script's own)", "rate 2.5", "rate 3.74"]
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 5, "a style is that of one rate"


def test_what_layers_compute_stands_below() -> None:
    found = answers()
    measured = [
        dataclasses.replace(one, rms=np.array([[1.0], [3.0]]), common=np.array([[0.2], [0.9]])) for one in found.remedies["none"].trials
    ]
    remedies = {**found.remedies, "none": RemedyAnswer("none", measured)}
    figure = what_if_figure(dataclasses.replace(found, remedies=remedies, layers=("conv",)))
    rows = {trace.yaxis: trace.y.tolist() for trace in figure.data if trace.name == "rate 0.01" and trace.y.size}
    assert rows == {"y": [2.0, 1.9], "y3": [1.0, 3.0], "y5": [0.2, 0.9]}
    assert [one.text for one in figure.layout.annotations][2:] == [
        "output of conv: root mean square",
        "output of conv: share common to the batch",
    ]
