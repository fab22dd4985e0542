"""Mistakes in the form of a loss that its graph shows exactly, whichever functions it was written with.

- Output and target broadcast against each other: (N, 1) against (N,) makes (N, N), and every output is compared with every target.
- ReLU on logits: a class whose logit is negative gets no gradient.
- Probabilities where their logarithms are taken, or a layer's outputs, and nothing else in the loss: it has no floor at zero.
- Softmax over an axis of size one, which gives one whatever it is given; and over the axis of the batch, so that samples compete.
- A loss that is cut off: a number that was made a tensor again, from which no gradient leads to any weight.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from bnprobe.measure.graph import nodes, roots
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, NODE_LIMIT, PASSING, kind, loss_nodes, shape, softmax_axis, sources

#: Losses that take logits.
_OF_LOGITS = ("LogSoftmaxBackward", "BinaryCrossEntropyWithLogitsBackward")
_PROBABILITIES = ("SoftmaxBackward", "SigmoidBackward")
_OUTPUTS = ("AddmmBackward", "MmBackward", "BmmBackward", "BaddbmmBackward", "LinearBackward", "ConvolutionBackward")
#: What a likelihood may go through on its way to the loss, and its outputs before it, without another bound.
_SCALING = ("Mean", "Sum", "Mul", "Div", *PASSING)
#: What takes log-probabilities of classes, of one place or along a sequence.
_OF_SEQUENCES = ("CtcLoss", "CudnnCtcLoss")
_LIKELIHOODS = ("NllLoss", *_OF_SEQUENCES)
_REARRANGING = tuple(name for name in PASSING if name != "Clamp")
_RECTIFIERS = ("ReluBackward", "ThresholdBackward")


def is_cut_off(losses: list[torch.Tensor]) -> bool:
    """Whether what a backward starts from has no graph behind it, or one that leads to no parameter."""
    if not losses or any(loss.grad_fn is None for loss in losses):
        return bool(losses) and all(loss.grad_fn is None for loss in losses)
    ends = [getattr(node, "variable", None) for node in nodes(losses, NODE_LIMIT + 1)]
    return len(ends) <= NODE_LIMIT and not any(isinstance(end, torch.nn.Parameter) for end in ends)


def pairs_all_with_all(losses: Any) -> bool:
    """Whether N outputs became N x N numbers of the loss against something that no gradient goes to: a target of another shape.

    What pairs outputs with each other on purpose, as contrastive and ranking losses do, has them on both sides; and so has what divides
    outputs by a norm of each sample, where samples have as many places as there are of them. One number for all, as a learned scale, pairs
    nothing.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    # What was spread meets something in the node that takes it.
    found = list(loss_nodes(losses))
    shared = {
        one
        for node in found
        for one, other in itertools.permutations(sources(node), 2)
        if kind(one).startswith("Expand") and ((meets := shape(other)) is None or _numel(meets) > 1)
    }
    for node in found:
        made, given = shape(node), sources(node)
        if node in shared or made is None or len(given) != 1 or len([axis for axis in made if axis > 1]) != 2:
            continue
        size = max(made)
        before = shape(given[0])
        if before is not None and sum(axis == size for axis in made) == 2 and _numel(before) == size == max(before):
            return True
    return False


def rectifies_logits(losses: Any) -> bool | None:
    """Whether logits went through a ReLU, and nothing else, on their way into a loss that takes logits; None without such a loss.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    found = [_came_through(node, _RECTIFIERS) for node in loss_nodes(losses) if kind(node).startswith(_OF_LOGITS)]
    return any(found) if found else None


def takes_probabilities_for_logarithms(losses: Any) -> int:
    """Return what a loss that takes log-probabilities is given: a negative log-likelihood, or a divergence of KL's form.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        1 where it is probabilities; 2 where it is what a layer gives out, which no logarithm has seen, and nothing else is in the loss; 3
        where the graph is too long to tell whether one has; 0 else.
    """
    for node in loss_nodes(losses):
        if kind(node).startswith(_LIKELIHOODS) and _came_through(node, _PROBABILITIES):
            return 1
        if kind(node).startswith("Sub") and _is_divergence_of_probabilities(node):
            return 1
    node = _only_likelihood(losses)
    if node is None or not _is_of_a_layer(node):
        return 0
    return {False: 2, None: 3, True: 0}[_has_logarithm(losses)]


def compares_one_class(losses: Any) -> bool | None:
    """Whether a log-softmax of the loss has an axis of size one, so that it is zero whatever it is given; None without a log-softmax.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    axes = [axis for node in loss_nodes(losses) if kind(node).startswith("LogSoftmax") and (axis := softmax_axis(node)) is not None]
    return all(axis.size == 1 for axis in axes) if axes else None


def trivial_softmaxes(losses: Any) -> int | None:
    """How many softmaxes of the whole graph have an axis of size one; None without a softmax.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    axes = [axis for node in nodes(losses, GRAPH_LIMIT) if (axis := softmax_axis(node)) is not None]
    return sum(axis.size == 1 for axis in axes) if axes else None


def softmaxes_over_samples(losses: Any) -> int | None:
    """How many softmaxes of the graph normalise over the first axis, where that is the batch's; None without a softmax.

    The batch's is the first axis of what the loss compares, if it has as many places; the second of the (T, N, C) that CTC is given. An
    N x N matrix compares samples on purpose.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    axes = [axis for node in nodes(losses, GRAPH_LIMIT) if (axis := softmax_axis(node)) is not None]
    samples = _samples(losses)
    if not axes or samples is None:
        return None
    return sum(
        axis.place == 0
        and axis.size == samples > 1
        and len(axis.shape) > 1
        and axis.shape.count(samples) == 1
        and _numel(axis.shape) > samples
        for axis in axes
    )


def _only_likelihood(losses: Any) -> Any | None:
    """The negative log-likelihood that is the whole loss, but for means, sums and factors; None where the loss has another term.

    Another term may be what makes likelihoods of the outputs: the logarithm of their normaliser.
    """
    starts = roots(losses)
    for _ in range(NODE_LIMIT):
        if len(starts) != 1 or kind(starts[0]).startswith(_LIKELIHOODS):
            return starts[0] if len(starts) == 1 else None
        starts = sources(starts[0]) if kind(starts[0]).startswith(_SCALING) else []
    return None


def _is_of_a_layer(likelihood: Any) -> bool:
    """Whether what a likelihood is given is a layer's product with its weights, laid out otherwise at most."""
    way = itertools.takewhile(lambda node: kind(node).startswith(_REARRANGING) or _adds_a_bias(node), _way(likelihood))
    made = next(iter(sources([likelihood, *way][-1])), None)
    return kind(made).startswith(_OUTPUTS) and any(map(_is_weight, sources(made)))


def _adds_a_bias(node: Any) -> bool:
    """Whether a node adds a parameter to what it received first, as a linear layer does to a signal that does not lie in one piece."""
    _, *others = sources(node)[:2] or [None]
    return kind(node).startswith("Add") and bool(others) and all(map(_is_weight, others))


def _has_logarithm(losses: Any) -> bool | None:
    """Whether a graph holds a logarithm, or may hold one, as it has autograd functions of the script's own; None where it is too long.

    A product of log-probabilities, as of the nodes of a tree or of the members of an ensemble, is a log-probability.
    """
    found = list(nodes(losses, GRAPH_LIMIT + 1))
    if any(kind(node).startswith("Log") or isinstance(node, torch.autograd.function.BackwardCFunction) for node in found):
        return True
    return None if len(found) > GRAPH_LIMIT else False


def _is_weight(node: Any) -> bool:
    """Whether an operand is a parameter, whichever way it is laid out."""
    end = next((one for one in (node, *_way(node)) if not kind(one).startswith(_REARRANGING)), None)
    return isinstance(getattr(end, "variable", None), torch.nn.Parameter)


def _is_divergence_of_probabilities(node: Any) -> bool:
    """Whether a difference is target ln target - target * input, as in KL's divergence, with an input that is a probability.

    The target may have a gradient as well, as that of a teacher that was not detached: its own probability is right.
    """
    first, second = (other for other, _ in (*node.next_functions, (None, 0), (None, 0))[:2])
    if second is None or not kind(second).startswith("Mul") or (first is not None and not kind(first).startswith("Xlogy")):
        return False
    factors = sources(second)
    return bool(factors) and all(
        kind(factor).startswith(_PROBABILITIES) or _came_through(factor, _PROBABILITIES, True) for factor in factors
    )


def _samples(losses: Any) -> int | None:
    """Number of samples in what a loss compares; None where the loss has a part that cannot be seen into."""
    for node in loss_nodes(losses):
        for made in map(shape, sources(node)):
            if made and len(made) > 1:
                return made[1 if kind(node).startswith(_OF_SEQUENCES) else 0]
    return None


def _came_through(node: Any, wanted: tuple[str, ...], is_on_the_way: bool = False) -> bool:
    if is_on_the_way and not kind(node).startswith(PASSING):
        return False
    for source in _way(node):
        if kind(source).startswith(wanted):
            return True
        if not kind(source).startswith(PASSING):
            return False
    return False


def _way(node: Any) -> Iterator[Any]:
    """Go through the nodes that made what a node received first."""
    for _ in range(NODE_LIMIT):
        following = sources(node)[:1]
        if not following:
            return
        node = following[0]
        yield node


def _numel(axes: tuple[int, ...]) -> int:
    count = 1
    for axis in axes:
        count *= axis
    return count
