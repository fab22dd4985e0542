"""Experts that are never asked: told by which weights a gradient reached, and accused where the loss could still fall."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.experts import idle_experts
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Gap
from tests.synthetic_runs import Recording, residual_recording

STEPS = 40


def mixture(
    asked: list[float], standing: bool = True, shapes: tuple[str, ...] = ("8x16",), name: str = "net.experts", router: bool = True
) -> Recording:
    """A mixture of experts, each reached by a gradient in that share of the steps, measured where that is all of them."""
    made = residual_recording(steps=STEPS)
    if standing:
        made.loss = np.linspace(2.0, 1.2, STEPS) + 1e-3 * np.random.default_rng(0).standard_normal(STEPS)
    for index, share in enumerate(asked):
        shape = shapes[index % len(shapes)]
        module = f"{name}.{index}"
        made.parameters[index] |= {"parameter": f"{module}.weight", "parameter_layer": module, "parameter_shape": shape}
        is_reached = np.arange(STEPS) < share * STEPS
        if is_reached.all():
            made.layers[2 * index + 1] |= {"layer": module, "layer_kind": "linear"}
        made.gradient_norm[:, index] = np.where(is_reached, 0.1, np.nan if index % 2 else 0.0)
    beside = name.rpartition(".")[0]
    made.layers[0] |= {"layer": f"{beside}.gate", "layer_kind": "linear", "channels": len(asked) if router else 3 * len(asked)}
    return made


def test_they_are_named_with_how_many_there_are() -> None:
    found = idle_experts(RunAnalysis(mixture([0.0, 0.0, 1.0, 0.02, 0.0]).run()))
    assert found is not None
    assert (found.severity, found.layers) == ("warning", ("net.experts.0", "net.experts.1", "net.experts.3"))
    assert "Of 5 parts of net.experts that are made alike, 4 are hardly ever asked" in found.cause
    assert found.evidence[0].value == pytest.approx(0.2)


def test_a_task_may_need_few_of_them() -> None:
    found = idle_experts(RunAnalysis(mixture([0.0, 0.0, 1.0, 0.0], standing=False).run()))
    assert found is not None
    assert found.severity == "info"


def test_lists_inside_numbered_blocks_are_seen() -> None:
    found = idle_experts(RunAnalysis(mixture([0.0, 0.0, 1.0, 0.0], name="layers.0.moe.experts").run()))
    assert found is not None
    assert (found.severity, found.layers[0]) == ("warning", "layers.0.moe.experts.0")


def test_heads_among_which_no_router_chooses_are_told_for_information() -> None:
    found = idle_experts(RunAnalysis(mixture([0.0, 0.0, 1.0, 0.0], router=False).run()))
    assert found is not None
    assert found.severity == "info"


@pytest.mark.parametrize(("subject", "said"), [("net.experts.0", False), ("net", False), ("other", True)])
def test_what_runs_without_gradient_is_not_idle(subject: str, said: bool) -> None:
    run = mixture([0.0, 0.0, 1.0, 0.0]).run()
    run.gaps.append(Gap(subject, "runs without gradient inside forwards that train", 3))
    assert (idle_experts(RunAnalysis(run)) is not None) == said


def frozen() -> Recording:
    """Blocks that all run, of which gradients reach the last."""
    made = mixture([0.0, 0.0, 0.0, 1.0])
    for index in range(3):
        made.layers[2 * index + 1]["layer"] = f"net.experts.{index}"
    return made


def unmeasured() -> Recording:
    """Parts of which not even the one that is trained was measured, so that nothing shows which of them run."""
    made = mixture([0.0, 0.0, 0.0, 1.0])
    made.layers[7]["layer"] = "other"
    return made


@pytest.mark.parametrize(
    "made",
    [
        mixture([1.0, 0.3, 0.2, 0.0]),
        mixture([0.0, 1.0]),
        mixture([0.0, 0.0, 0.0, 0.0]),
        mixture([0.0, 0.0, 1.0, 0.0], shapes=("8x16", "4x16")),
        frozen(),
        unmeasured(),
    ],
    ids=["most are used", "two heads", "nothing is trained", "not made alike", "frozen", "unmeasured"],
)
def test_nothing_is_said_else(made: Recording) -> None:
    assert idle_experts(RunAnalysis(made.run())) is None
