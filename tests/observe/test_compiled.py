"""Compiled modules are shadowed: the same bits, the same graphs, and the figures that eager code gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.observe.conftest import Comparison

Compare = Callable[..., Comparison]


@pytest.mark.parametrize("form", ["module", "inplace", "block", "function"])
def test_compiled_training_is_untouched(compare: Compare, form: str) -> None:
    ran = compare(f"compiled {form}")
    assert ran.plain.status == 0
    assert "graphs 1 {}" in ran.plain.stdout
    assert ran.recorded.stdout == ran.plain.stdout  # losses, digest, number of graphs, breaks and recompilations


@pytest.mark.parametrize("form", ["module", "inplace", "block"])
def test_a_compiled_module_is_seen_as_eager_code_is(compare: Compare, form: str) -> None:
    eager, compiled = compare("compiled none").run, compare(f"compiled {form}").run
    assert [layer.name for layer in compiled.layers] == [layer.name for layer in eager.layers]
    for name in ("activation_rms", "activation_common_energy", "activation_gradient_rms", "activation_gradient_within_energy"):
        np.testing.assert_allclose(compiled[name], eager[name], rtol=1e-5, err_msg=name)
    assert compiled.gaps == []
    assert any("repeated eagerly" in event.text for event in compiled.events)


def test_layers_inside_a_compiled_function_are_named_as_unseen(compare: Compare) -> None:
    run = compare("compiled function").run
    assert run.steps == 5
    assert [gap.subject for gap in run.gaps] == ["layers called inside the compiled function <lambda>"]
    assert np.isfinite(run["parameter_gradient_norm"]).all()
