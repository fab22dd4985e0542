"""What the figures show is what autograd says. That no training notices is shown beside the audit (test_audit.py)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.observe.options import FIGURES
from tests.observe.conftest import Comparison

Compare = Callable[..., Comparison]


def test_numbers_of_a_convolutional_network(compare: Compare) -> None:
    run = compare("convnet contiguous", figures=FIGURES, figures_at=(0, 1)).run
    names = [parameter.name for parameter in run.parameters]
    weights = [names.index(name) for name in ("0.weight", "4.weight", "9.weight")]
    assert run["figure"].tolist() == [0, 1]
    coherence = run["sign_coherence"][:, weights]
    assert ((coherence > 0) & (coherence < 1)).all()
    # The rms of the entries is the norm that was measured of the same gradient.
    sizes = np.array([run.parameters[place].size for place in weights])
    assert run["gradient_rms"][0, weights] * np.sqrt(sizes) == pytest.approx(run["parameter_gradient_norm"][0, weights], rel=1e-5)
    assert np.bincount(run["bin_parameter"][run["bin_step"] == 0])[weights].tolist() == [81] * 3
    for weight in weights:
        assert run["bin_count"][(run["bin_step"] == 1) & (run["bin_parameter"] == weight)].sum() == run.parameters[weight].size


def test_logit_gradients_are_those_of_the_loss(compare: Compare) -> None:
    """Under cross-entropy each row sums to zero, and its only negative entry is the label's."""
    run = compare("convnet contiguous", figures=FIGURES, figures_at=(0, 1)).run
    first = run["logit_step"] == 0
    picture = run["logit_gradient"][first].reshape(-1, 3)
    assert len(picture) == run["logit_samples"][first][0] == run["batch_size"][0]
    assert np.abs(picture.sum(axis=1)).max() < 1e-7
    assert ((picture < 0).sum(axis=1) == 1).all()


def test_singular_values_of_a_sample_for_each_output(compare: Compare) -> None:
    run = compare("convnet contiguous", figures=FIGURES, figures_at=(0, 1)).run
    own = (run["singular_step"] == 0) & (run["singular_sample"] >= 0)
    samples = run["singular_sample"][own]
    assert np.bincount(samples).tolist() == [3] * min(4, int(run["batch_size"][0]))
    values = run["singular_value"][own].reshape(-1, 3)
    assert (np.diff(values, axis=1) <= 0).all()
    assert (values > 0).all()


def test_an_update_is_followed_in_tenths(compare: Compare) -> None:
    run = compare("convnet contiguous", figures=FIGURES, figures_at=(0, 1)).run
    taken = np.flatnonzero(run["probe_variant"] == "taken")
    s = run["probe_point_s"][run["probe_point_probe"] == taken[0]]
    assert all(np.abs(s - k / 10).min() < 1e-12 for k in range(11))
    assert (np.diff(s) > 0).all()


def test_the_noise_is_of_the_gradient_that_the_optimizer_gets(compare: Compare) -> None:
    run = compare("convnet contiguous", figures=FIGURES, figures_at=(0, 1)).run
    names = [parameter.name for parameter in run.parameters]
    weights = [names.index(name) for name in ("0.weight", "4.weight", "9.weight")]
    assert np.sqrt(run["gradient_noise_square"][:, weights]) == pytest.approx(run["parameter_gradient_norm"][:2, weights], rel=1e-5)
    assert run["gradient_noise_samples"][:, weights].tolist() == [[float(size)] * 3 for size in run["batch_size"][:2]]
    assert (run["gradient_noise"][:, weights] > 0).all()


def test_the_factor_of_a_gradient_scaler_is_taken_out(compare: Compare) -> None:
    run = compare("grad_scaler", figures=FIGURES, figures_at=(0, 1)).run
    assert (run["loss_scale"][:2] > 1).all()
    known = np.isfinite(run["gradient_noise"])
    assert known.any()
    clipped = np.maximum(run["clip_norm"][:2] / run["clip_limit"][:2], 1.0)[:, None]  # the recorded norms are those behind the clipping
    norms = (run["parameter_gradient_norm"][:2] * clipped)[known]
    assert np.sqrt(run["gradient_noise_square"][known]) == pytest.approx(norms, rel=1e-4)


def test_weights_that_are_not_finite_have_no_figures_and_are_no_fault(compare: Compare) -> None:
    ran = compare("nan_loss", figures=FIGURES, figures_at=(0, 28))
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    assert [gap.reason for gap in run.gaps if gap.reason.startswith("a fault of bnprobe")] == []
    assert "singular values of a figure" in [gap.subject for gap in run.gaps]
    assert np.unique(run["singular_step"]).tolist() == [0]


def test_figures_are_measured_when_trouble_shows(compare: Compare) -> None:
    ran = compare("rising_loss", figures=("tails", "coherence"), figures_at=("trouble",))
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.run["figure"].tolist() == [2901, 2902, 2903]
