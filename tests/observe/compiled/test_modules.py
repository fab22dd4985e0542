"""Compiled modules are shadowed: the same bits, the same graphs, and the figures that eager code gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.observe.conftest import Comparison
from tests.observe.test_programs import own_words

Compare = Callable[..., Comparison]


def forms(first: str, *others: str) -> Any:
    """Ways to compile; compiling takes seconds, so all but the first are part of the long suite."""
    return pytest.mark.parametrize("form", [first, *(pytest.param(other, marks=pytest.mark.slow) for other in others)])


@forms("module", "inplace", "block", "function")
def test_compiled_training_is_untouched(compare: Compare, form: str) -> None:
    ran = compare(f"compiled {form}")
    assert ran.plain.status == 0
    assert "graphs 1 {}" in ran.plain.stdout
    assert ran.recorded.stdout == ran.plain.stdout  # losses, digest, number of graphs, breaks and recompilations


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "compiled"])
def test_outputs_that_are_saved_say_nothing_of_the_recorder(compare: Compare, form: str) -> None:
    ran = compare(f"compiled_outputs {form}")
    assert ran.recorded.stdout == ran.plain.stdout
    assert own_words(ran.recorded.stderr) == own_words(ran.plain.stderr) == []


@pytest.mark.slow
def test_what_a_module_counts_keeps_and_prints_it_does_once(compare: Compare) -> None:
    ran = compare("compiled_side_effects")
    assert "call 4" in ran.plain.stdout
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.run["layers_observed"].tolist() == [1] * 4
    assert ran.run.gaps == []


@forms("module", "inplace", "block")
def test_a_compiled_module_is_seen_as_eager_code_is(compare: Compare, form: str) -> None:
    eager, compiled = compare("compiled none").run, compare(f"compiled {form}").run
    assert [layer.name for layer in compiled.layers] == [layer.name for layer in eager.layers]
    for name in ("activation_rms", "activation_common_energy", "activation_gradient_rms", "activation_gradient_within_energy"):
        np.testing.assert_allclose(compiled[name], eager[name], rtol=1e-5, err_msg=name)
    assert compiled.gaps == []
    assert any("repeated eagerly" in event.text for event in compiled.events)


@forms("whole", "optimizer", "method", "clipping")
@pytest.mark.slow
def test_compiled_steps_are_untouched(compare: Compare, form: str) -> None:
    ran = compare(f"compiled_steps {form}")
    assert ran.plain.status == ran.recorded.status == 0, ran.recorded.stderr
    assert "graphs 0" not in ran.plain.stdout
    assert ran.recorded.stdout == ran.plain.stdout  # losses, digest, number of graphs, breaks, frames and recompilations
    assert own_words(ran.recorded.stderr) == own_words(ran.plain.stderr)


@forms("whole", "optimizer", "method")
@pytest.mark.slow
def test_steps_inside_compiled_functions_are_told_by_the_weights_that_moved(compare: Compare, form: str) -> None:
    ran = compare(f"compiled_steps {form}")
    run = ran.run
    assert run.steps == 6
    assert run["micro_steps"].tolist() == [1] * 6
    losses, moved = (
        [float(line.split()[1]) for line in ran.plain.stdout.splitlines() if line.startswith(what)] for what in ("loss", "moved")
    )
    np.testing.assert_allclose(run["loss"], losses, rtol=1e-6)
    np.testing.assert_allclose(run["learning_rate"][:, 0], 0.01)
    place = [parameter.name for parameter in run.parameters].index("0.weight")
    assert np.isnan(run["update_norm"][0, place]), "nobody expected the first one"
    np.testing.assert_allclose(run["update_norm"][1:, place], moved[1:], rtol=1e-5)
    assert "how far the weights moved" in [gap.subject for gap in run.gaps]


@pytest.mark.slow
def test_layers_inside_a_compiled_function_are_named_as_unseen(compare: Compare) -> None:
    run = compare("compiled function").run
    assert run.steps == 5
    assert [gap.subject for gap in run.gaps] == ["layers called inside the compiled function <lambda>"]
    assert np.isfinite(run["parameter_gradient_norm"]).all()


@forms("module", "inplace", "block")
@pytest.mark.slow
def test_a_line_probe_sees_what_the_eager_one_sees(compare: Compare, form: str) -> None:
    eager, ran = compare("compiled none", line_probe=1).run, compare(f"compiled {form}", line_probe=1)
    assert ran.recorded.stdout == ran.plain.stdout  # still one graph, no break, no recompilation
    assert ran.run["probe_reason"].tolist() == eager["probe_reason"].tolist() == [""] * len(eager["probe_reason"])
    assert (ran.run["probe_replay_error"] <= 1e-6).all()
    np.testing.assert_allclose(ran.run["probe_point_ratio"], eager["probe_point_ratio"], rtol=1e-3)


@pytest.mark.slow
def test_a_line_probe_of_a_compiled_function_says_why_it_has_no_number(compare: Compare) -> None:
    ran = compare("compiled function", line_probe=1)
    assert ran.recorded.stdout == ran.plain.stdout
    assert all("compiled code" in reason for reason in ran.run["probe_reason"])
