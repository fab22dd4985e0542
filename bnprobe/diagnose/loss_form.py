"""Causes in the form of the loss, which its graph shows exactly.

No threshold is asked for, only that it was so whenever it was looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number

_BROADCASTING = "broadcasting aligns axes from the last one on (PyTorch, Broadcasting semantics)"
_LOGITS = "torch.nn.functional.cross_entropy takes logits of either sign: softmax is a function of their differences"
_SOFTMAX = "softmax over one number is 1, whatever the number (torch.nn.functional.softmax)"
_STATES = "torch.nn.LSTM: h_n is (directions x layers, samples, width); input is (steps, samples, width) unless batch_first"
_SAMPLES = "samples of a batch are independent of each other; softmax over their axis makes them compete"
_VIEWS = "views keep the order of numbers (PyTorch, torch.Tensor.view); sequence layers take (L, N, C) unless batch_first"
_GRAPH = "a gradient goes along the graph of a tensor, and a number has none (PyTorch, Autograd mechanics)"
_SECOND = "the second derivative of a piecewise linear function is zero (Raissi, Perdikaris, Karniadakis 2019 use tanh)"


def broadcast_loss(run: RunAnalysis) -> Finding | None:
    """Output and target have different shapes, and broadcasting compares every output with every target.

    Looks in the graph of the loss for N numbers that become N x N against something without gradient. The best that the network can then do
    is to give out the mean of the batch's targets for every sample. Looks like data that cannot be predicted. Losses that pair outputs with
    each other on purpose have a gradient on both sides, and are no case of it.
    """
    rows = _always(run.recorded.loss_pairs_all)
    if rows is None:
        return None
    sizes = run.recorded.batch_size[run.recorded.batch_size > 0]
    samples = int(np.median(sizes)) if sizes.size else "N"
    return Finding(
        id="broadcast-loss",
        severity="error",
        confidence=0.95,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=run.step(int(rows[0])),
        evidence=(Evidence("steps at which the loss paired all outputs with all targets", float(rows.size), 0.0, "steps"),),
        cause=f"Output and target have different shapes, such as ({samples}, 1) and ({samples},): the loss compares every output "
        "with every "
        f"target, and the best answer to that is their mean, for every sample; {loss_summary(run)}.",
        fix="Give both the same shape before the loss: `output.squeeze(1)` or `target.unsqueeze(1)`; PyTorch's own losses warn of it.",
        source=_BROADCASTING,
    )


def rectified_logits(run: RunAnalysis) -> Finding | None:
    """The logits go through a ReLU before a loss that takes logits of either sign.

    Looks in the graph of the loss. A class whose logit is negative for a sample gets no gradient from it: some classes fall silent for
    good, which by chance are the ones that started low. Looks like dead units; they are those of the last layer.
    """
    rows = _always(run.recorded.loss_rectified)
    if rows is None:
        return None
    return Finding(
        id="rectified-logits",
        severity="error" if run.underperforms else "warning",
        confidence=0.9,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=run.step(int(rows[0])),
        evidence=(Evidence("steps at which logits went through a ReLU into the loss", float(rows.size), 0.0, "steps"),),
        cause="A ReLU lies between the last layer and a loss that takes logits: where a logit would be negative it is zero and gets no "
        f"gradient, so classes can fall silent for good; {loss_summary(run)}.",
        fix="Leave the activation behind the last layer out.",
        source=_LOGITS,
    )


def probabilities_for_logarithms(run: RunAnalysis) -> Finding | None:
    """A loss that takes log-probabilities is given probabilities, or the outputs of a layer.

    Looks in the graph of the loss for a negative log-likelihood, of single classes or of a sequence (CTC), or a divergence, of the result
    of a softmax; or for a negative log-likelihood, and nothing else, of a layer's outputs. Of probabilities such a loss rewards certainty
    in a linear way. Of outputs it has no lower bound: it is named where it went below zero, which a likelihood of classes never does, or
    the run fails to learn. Looks like slow learning.
    """
    rows = _always(run.recorded.loss_of_probabilities)
    if rows is None:
        return None
    is_negative = bool((run.recorded.loss < 0).any())
    if (run.recorded.loss_of_probabilities[rows] > 1).all():
        is_sure = (run.recorded.loss_of_probabilities[rows] == 2).any()  # elsewhere only a loss below zero shows it
        if not is_negative and not (is_sure and run.underperforms):
            return None
        what, given = "outputs", "the outputs of a layer, of either sign: it has no lower bound, and falls as these grow"
    else:
        what = "probabilities"
        given = "probabilities, the result of a softmax: it is no longer a likelihood or a divergence, and rewards another thing"
    return Finding(
        id="probabilities-for-logarithms",
        severity="error" if run.underperforms or is_negative else "warning",
        confidence=0.9,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=run.step(int(rows[0])),
        evidence=(Evidence(f"steps whose loss was given {what} for logarithms", float(rows.size), 0.0, "steps"),),
        cause=f"The loss takes log-probabilities and is given {given}; {loss_summary(run)}.",
        fix="Give `nll_loss`, `ctc_loss` and `kl_div` the result of `log_softmax`, or use `cross_entropy` on the logits.",
        source="torch.nn.functional.nll_loss, ctc_loss and kl_div take log-probabilities",
    )


def one_class_softmax(run: RunAnalysis) -> Finding | None:
    """A softmax over an axis of size one gives one, whatever it is given, and passes no gradient.

    Looks at the axes over which the loss's own log-softmax and all softmaxes of the graph go, at every step that was looked at. Looks like
    a learning rate that is too low; there gradients are not zero. An attention that has a single place at some steps only, as at the first
    token of a sequence, is no case of it.
    """
    recorded = run.recorded
    is_loss = (rows := _always(recorded.loss_of_one_class)) is not None
    if rows is None:
        rows = _always(recorded.softmax_trivial)
    if rows is None:
        return None
    what = "The cross-entropy has a single class" if is_loss else "A softmax goes over an axis of size one"
    return Finding(
        id="one-class-softmax",
        severity="error" if is_loss or run.is_stuck else "warning",
        confidence=0.95 if is_loss else 0.7,
        layers=(run.name(run.last_layer),) if is_loss and run.last_layer is not None else (),
        step=run.step(int(rows[0])),
        evidence=(Evidence("steps at which a softmax went over a single place", float(rows.size), 0.0, "steps"),),
        cause=f"{what}: softmax over one number is 1, whatever the number, so that nothing is learned through it; {loss_summary(run)}.",
        fix="For two classes from one output use `binary_cross_entropy_with_logits`; with cross-entropy give one output for each class."
        if is_loss
        else "Look at the axis of the softmax: of scores (N, queries, keys) it is the last one, and it needs more than one place.",
        source=_SOFTMAX,
    )


def softmax_over_batch(run: RunAnalysis) -> Finding | None:
    """A softmax normalises over the samples of the batch rather than over classes or keys.

    Looks at the axes of the softmaxes in the graph of the loss: the first one, of as many places as the loss has samples. What a sample
    gets then depends on which others are in its batch. Looks like an attention that pools over what lies on the first axis (nodes,
    instances, time first); there the loss has another number of samples. A square matrix compares samples on purpose.
    """
    rows = _always(run.recorded.softmax_over_samples)
    if rows is None:
        return None
    most = int(run.recorded.softmax_over_samples[rows].max())
    return Finding(
        id="softmax-over-batch",
        severity="error" if run.underperforms else "warning",
        confidence=0.8,
        layers=(),
        step=run.step(int(rows[0])),
        evidence=(Evidence("softmaxes over the axis of the batch", float(most), 0.0),),
        cause=f"A softmax goes over the samples of the batch: {number(float(most))} in the graph of the loss normalise{'s' * (most == 1)} "
        f"along the first axis, so that samples compete with each other; {loss_summary(run)}.",
        fix="Give softmax the axis that is meant: `dim=-1` for classes or keys; without `dim` it may choose the first.",
        source=_SAMPLES,
    )


def mixed_samples(run: RunAnalysis) -> Finding | None:
    """What the network says of a sample is computed from others of the batch, as an axis of a recurrent layer was taken for another.

    Looks in the graph of the loss for states of several layers or directions that are viewed as (samples, rest) without a transposition,
    and for a choice along the axis of the samples behind a layer that takes the first axis for time. Else sizes tell: of recurrent layers
    and attention whose sequence is as long as the loss has samples, while their batch is of a size that nothing of
    the loss has, and of views that leave other numbers before the axis of the samples than it had. Looks like labels that do not belong to
    their inputs.
    """
    rows = _always(run.recorded.samples_mixed)
    if rows is None:
        return _mixed_by_sizes(run)
    is_viewed = int(run.recorded.samples_mixed[rows[0]]) == 1
    recurrent = [layer.name for layer in run.recorded.layers if layer.kind == "recurrent" and layer.role == "output"]
    what = (
        "The last states of a recurrent layer are (layers and directions, samples, width), and are viewed as (samples, rest): each row "
        "then holds states of several samples"
        if is_viewed
        else "A recurrent layer without `batch_first` takes the first axis for time, which is that of the samples here: it goes from one "
        "sample to the next, and `[:, -1]` is the last sample of the batch and not the last step"
    )
    return Finding(
        id="mixed-samples",
        severity="error" if run.underperforms or run.is_no_better_than_guessing else "warning",
        confidence=0.9,
        layers=tuple(recurrent[-1:]),
        step=run.step(int(rows[0])),
        evidence=(Evidence("steps at which samples of a batch were mixed up", float(rows.size), 0.0, "steps"),),
        cause=f"{what}; {loss_summary(run)}.",
        fix="Use `hidden.transpose(0, 1).reshape(samples, -1)`, or `torch.cat([hidden[-2], hidden[-1]], 1)`."
        if is_viewed
        else "Give the layer `batch_first=True`, or the data as (steps, samples, width) and take `[-1]`.",
        source=_STATES,
    )


def _mixed_by_sizes(run: RunAnalysis) -> Finding | None:
    recorded = run.recorded
    across, views = _always(recorded.sequences_over_samples), _always(recorded.views_over_samples)
    rows = across if across is not None else views
    if rows is None:
        return None
    sequential = [layer.name for layer in recorded.layers if layer.kind in ("recurrent", "attention") and layer.role == "output"]
    layers = tuple(sequential[:1]) if across is not None else ()
    if across is not None:
        count = Evidence("calls that ran across the samples, in a step", float(recorded.sequences_over_samples[rows[0]]), 0.0)
        what = (
            f"{' and '.join(layers) or 'a sequence layer'} takes the samples of the batch for its sequence, and goes from one to the next"
        )
        fix = "Let `batch_first` say which axis of its input is that of the samples, or move that axis: `x.transpose(0, 1)`."
    else:
        count = Evidence("views that moved the samples' axis, in a step", float(recorded.views_over_samples[rows[0]]), 0.0)
        what = "a `view` or `reshape` takes the axis of the samples to another place, which puts numbers of several samples into one row"
        fix = "Move an axis with `transpose` or `permute`; `view` only splits and joins neighbouring axes."
    return Finding(
        id="mixed-samples",
        severity="error" if run.underperforms or run.is_no_better_than_guessing else "warning",
        confidence=0.9,
        layers=layers,
        step=run.step(int(rows[0])),
        evidence=(count,),
        cause=f"Samples of the batch are mixed: {what}; {loss_summary(run)}.",
        fix=fix,
        source=_VIEWS,
    )


def detached_loss(run: RunAnalysis) -> Finding | None:
    """The loss is a number that was made a tensor again: backward runs, and no gradient reaches any weight.

    Looks for a backward that leads to no parameter: it starts from a tensor without a graph, or from sums of such. Weights that are plain
    tensors, and inputs that are trained, get their gradients; then nothing is said. Looks like frozen parameters; there a part of the
    network is cut off.
    """
    rows = _always(run.recorded.loss_cut_off)
    gradient, weight = run.recorded.parameter_gradient_norm, run.recorded.weight_norm
    if rows is None or np.isfinite(gradient).any() or not np.isfinite(weight).any():
        return None
    return Finding(
        id="detached-loss",
        severity="error",
        confidence=0.95,
        layers=(),
        step=run.step(int(rows[0])),
        evidence=(Evidence("steps whose loss had no graph", float(rows.size), 0.0, "steps"),),
        cause="The loss has no graph behind it: it is a number that was made a tensor again, so backward ends where it begins, and "
        "no weight "
        f"gets a gradient; {loss_summary(run)}.",
        fix="Compute the loss from the network's output with torch alone: no `.item()`, `.detach()`, `.numpy()`, `torch.tensor(...)` or "
        "`requires_grad_()` on the way.",
        source=_GRAPH,
    )


def flat_second_derivative(run: RunAnalysis) -> Finding | None:
    """The loss asks for a second derivative of a network of piecewise linear activations, which is zero.

    Looks at what the script differentiates by its data: a derivative of a derivative through ReLU. Looks like an equation that is hard to
    fit. A single derivative, as in a gradient penalty or a force, is no case of it.
    """
    rows = _always(run.recorded.flat_second_derivatives)
    if rows is None:
        return None
    count = float(np.median(run.recorded.flat_second_derivatives[rows]))
    return Finding(
        id="flat-second-derivative",
        severity="error" if run.underperforms else "warning",
        confidence=0.9,
        layers=tuple(layer.name for layer in run.recorded.layers if layer.type in ("ReLU", "LeakyReLU", "Hardtanh"))[:2],
        step=run.step(int(rows[0])),
        evidence=(Evidence("second derivatives of a piecewise linear network, in a step", count, 0.0),),
        cause="The loss takes a second derivative of the network by its input, through ReLU or another piecewise linear activation: it is "
        f"zero wherever it exists, so that part of the loss says nothing about the weights; {loss_summary(run)}.",
        fix="Use a smooth activation in this network: tanh, SiLU, softplus or sine.",
        source=_SECOND,
    )


def _always(answers: NDArray[Any]) -> NDArray[np.int64] | None:
    """The rows at which a question had an answer, if it was yes at each of them; None else."""
    rows = np.flatnonzero(answers >= 0)
    return rows if rows.size and (answers[rows] > 0).all() else None
