"""Singular values of products of weights and of a network's Jacobian, beside the edge that random matrices have.

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375, section 4: of a product of M independent
N x N matrices with Gaussian entries of variance 1/N, the largest singular value comes to sqrt((M+1)^(M+1) / M^M): 2.00, 3.08, 3.86 for
M = 1, 3, 5; most of the others pile up at zero, so that depth by itself ruins the conditioning.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: Outputs for which rows of a Jacobian are asked for.
MOST_ROWS = 64


def singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """Return the singular values of a matrix, largest first, in float64 on the host."""
    values: torch.Tensor = torch.linalg.svdvals(matrix.detach().double().cpu())
    return values


def product(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Multiply weights, the first layer's rightmost, in float64.

    Args:
        weights: (out, in) each, in order of depth; each takes in what the one before gives out.

    Returns:
        (out of the last, in of the first).
    """
    result = weights[0].detach().double()
    for weight in weights[1:]:
        result = weight.detach().double() @ result
    return result


def jacobian_of_sample(outputs: torch.Tensor, inputs: torch.Tensor, sample: int) -> torch.Tensor | None:
    """The Jacobian of one sample's outputs by its own inputs, row by row on a live graph, which stays.

    Args:
        outputs: (N, K) with a graph.
        inputs: (N, ...) on it.
        sample: which.

    Returns:
        (K, D) in float64; what other samples of the batch have to do with it is left out. None where the outputs do not depend on the
        inputs.
    """
    rows = []
    for place in range(outputs.shape[1]):
        direction = torch.zeros_like(outputs)
        direction[sample, place] = 1.0
        (gradient,) = torch.autograd.grad(outputs, inputs, direction, retain_graph=True, allow_unused=True)
        if gradient is None:
            return None
        rows.append(gradient[sample].flatten().double())
    return torch.stack(rows)
