"""Curvature probes leave the training as it is, and tell the truth about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bnprobe.store.reader import Run
from tests.observe.conftest import Comparison
from tests.observe.programs import CASES
from tests.suites import shortened

Compare = Callable[..., Comparison]

#: Programs that have a reason of their own to be changed by a second backward.
DELICATE = {
    *("plain_mlp", "inplace_relu", "accumulation", "user_hooks", "gan"),
    *("checkpoint reentrant", "optimizer_in_backward"),
}
COMPILED = [pytest.param(f"compiled {form}", marks=pytest.mark.slow) for form in ("module", "block")]
OTHERS = [
    "counting_hooks",
    *(f"no_second_derivative {how}" for how in ("once", "fails", "distances")),
    *COMPILED,
]


def _programs() -> list[Any]:
    known = [case.program for case in CASES]
    return [pytest.param(one, marks=_marks(one), id=one.replace(" ", "-")) for one in known] + OTHERS


def _marks(program: str) -> list[Any]:
    return [] if program in DELICATE else [pytest.mark.slow]


@pytest.mark.parametrize("program", _programs())
def test_a_probed_training_is_untouched(compare: Compare, program: str) -> None:
    ran = compare(program, curvature=1)
    assert ran.recorded.stdout == ran.plain.stdout
    assert "digest" in ran.plain.stdout
    assert _without_folders(ran.recorded.stderr) == _without_folders(ran.plain.stderr)
    assert ran.recorded.status == ran.plain.status
    assert not [gap for gap in ran.run.gaps if gap.reason.startswith("a fault of bnprobe")]


def _without_folders(stderr: str) -> str:
    stderr = re.sub(r"USDT:\S+ \S+ \d+:\d+", "USDT", stderr)  # times and processes of torch's profiler
    return re.sub(r'File ".*/(bnprobe|launch|observe)/.*\n(    .*\n)*|\S*/', "", stderr)


@pytest.mark.parametrize("program", ["plain_mlp", "reference", "inplace_relu"])
def test_what_is_measured_of_layers_does_not_change(compare: Compare, program: str) -> None:
    plain, probed = compare(program).run, compare(program, curvature=1).run
    for name in (
        "activation_rms",
        "activation_gradient_rms",
        "parameter_gradient_norm",
        "channel_gradient_mean",
        "micro_steps",
        "batch_size",
    ):
        np.testing.assert_array_equal(plain[name], probed[name], err_msg=name)
    assert [layer.name for layer in probed.layers] == [layer.name for layer in plain.layers]


# -- the numbers ------------------------------------------------------------------------------------------------------


def first_sharpness() -> float:
    """Largest eigenvalue of the exact Hessian at the first step of the programs that train ``small_network``, in float64."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double()
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn((8, 6), generator=generator).double(), torch.randint(3, (8,), generator=generator)
    names, weights = zip(*model.named_parameters(), strict=True)

    def loss(*parts: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (x,)), y)

    blocks = torch.autograd.functional.hessian(loss, weights)
    hessian = torch.cat([torch.cat([block.reshape(w.numel(), -1) for block in row], 1) for w, row in zip(weights, blocks, strict=True)])
    return float(torch.linalg.eigvalsh(hessian)[-1])


@pytest.mark.parametrize(
    ("program", "micro_steps", "threshold"),
    [
        ("plain_mlp", 1, 3.8 / 0.1 - 1e-3),
        ("accumulation", 4, 20.0),
        ("grad_scaler", 1, 20.0),
        ("autograd_grad_with_optimizer", 1, 20.0),
        ("manual_updates", 1, np.nan),
        ("optimizer_in_backward", 1, 20.0),
    ],
)
def test_the_first_probe_is_the_exact_hessian_s(compare: Compare, program: str, micro_steps: int, threshold: float) -> None:
    """Whatever a scaler multiplied the loss with, and into how many backward calls it was divided."""
    run = compare(program, curvature=1).run
    value, residual = run["curvature_sharpness"][0], run["curvature_residual"][0]
    assert value == pytest.approx(first_sharpness(), rel=1e-3)
    assert residual < 0.01 * value * 1.01
    assert run["curvature_micro_steps"][0] == micro_steps
    assert run["curvature_threshold"][0] == pytest.approx(threshold, nan_ok=True)
    if np.isfinite(threshold):
        limit = (
            run["curvature_learning_rate"][0] * (threshold + 1e-3 * (program == "plain_mlp")) / (value + 1e-3 * (program == "plain_mlp"))
        )
        assert run["curvature_limit"][0] == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize(("program", "first"), [("plain_mlp", 0), ("evaluation", 0), ("randomness", 0), ("lightning_closure", 1)])
def test_a_probe_after_the_first_takes_four_products(compare: Compare, program: str, first: int) -> None:
    """The first waits until Adam has second moments: a search in another metric would have to begin anew."""
    run = compare(program, curvature=1).run
    products = run["curvature_products"]
    assert run["curvature"][0] == first
    assert products[0] > 4
    assert products[1:].max() <= 4
    assert (run["curvature_seconds"] > 0).all()


def test_probes_keep_to_their_steps(compare: Compare) -> None:
    run = compare("schedulers", curvature=25).run
    assert run["curvature"].tolist() == [0, 25, 50]
    rate = np.nanmax(run["learning_rate"], axis=1)  # one optimizer after the other
    np.testing.assert_allclose(run["curvature_learning_rate"], rate[[0, 25, 50]])
    assert len(compare("schedulers").run["curvature"]) == 0


def test_a_probe_does_not_thin_the_layers(compare: Compare) -> None:
    run = compare("schedulers", curvature=1).run
    seconds, own, probes = run["step_seconds"], run["observer_seconds"], run["curvature_seconds"]
    assert (own[1:-1] >= probes[1:-1] * 0.99).all()
    assert (seconds > 0).all()


def test_a_step_that_moves_fewer_weights_than_its_backward_reached_teaches_the_next(compare: Compare) -> None:
    """A generator's backward goes through its critic, and only the generator steps."""
    run = compare("gan", curvature=1).run
    reasons = run["curvature_reason"].tolist()
    assert "weights that the step did not move" in reasons[0]
    known = np.isfinite(run["curvature_sharpness"]) | np.isfinite(run["curvature_preconditioned"])
    assert known.tolist() == [False, True, True, True, True]
    assert run["curvature_learning_rate"][1:].tolist() == pytest.approx([2e-3, 1e-3, 2e-3, 1e-3])


# -- what gives no number ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "words"),
    shortened(
        [
            ("no_second_derivative fails", "code of the script (Fails)"),
            ("no_second_derivative distances", "_cdist_backward"),
            ("counting_hooks", "checkpointed block"),
            ("no_second_derivative once", "code of the script (Once)"),
            ("gpt", "fused attention"),
            ("recurrent", "recurrent layers"),
            ("checkpoint reentrant", "use_reentrant=False"),
            ("compiled module", "compiled code"),
            ("sparse_embedding", "sparse"),
            ("complex_weights", "complex"),
            ("vector_loss", "one number"),
            ("own_dispatch", "code of its own"),
            ("selective_checkpoint", "selective checkpoint"),
        ],
        4,
    ),
)
def test_a_reason_stands_where_there_is_no_number(compare: Compare, program: str, words: str) -> None:
    run = compare(program, curvature=1).run
    assert np.isnan(run["curvature_sharpness"]).all()
    assert all(words in reason for reason in run["curvature_reason"])
    (gap,) = [gap for gap in run.gaps if gap.subject == "curvature"]
    assert words in gap.reason and gap.times == len(run["curvature"]) >= run.steps - 1


def test_a_threshold_that_is_not_known_leaves_the_sharpness(compare: Compare) -> None:
    for program, words in (("lbfgs", "LBFGS"), ("subclassed_step", "Decayed"), ("manual_updates", "no optimizer")):
        run = compare(program, curvature=1).run
        assert np.isfinite(run["curvature_sharpness"]).all()
        assert np.isnan(run["curvature_threshold"]).all()
        assert all(words in reason for reason in run["curvature_reason"])


def test_a_lack_of_memory_ends_the_probes(compare: Compare) -> None:
    run = compare("failed_backward", curvature=1, curvature_reruns=True).run
    assert run["curvature"].tolist() == [0, 1]
    assert "memory ran out" in run["curvature_reason"][1]


# -- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["gpt", "attention", "recurrent", "encoder_time_first", *COMPILED])
def test_kernels_with_a_second_derivative_are_used_on_request(compare: Compare, program: str) -> None:
    ran = compare(program, curvature=2, curvature_kernels="math")
    run: Run = ran.run
    assert (np.isfinite(run["curvature_sharpness"]) | np.isfinite(run["curvature_preconditioned"])).all(), run["curvature_reason"]
    assert any("round differently" in event.text for event in run.events)
    losses = [
        [float(line.split()[1]) for line in text.splitlines() if line.startswith("loss ")]
        for text in (ran.plain.stdout, ran.recorded.stdout)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
