"""The largest eigenvalues of a symmetric operator that can only be applied to vectors.

Lanczos' method (1950) with full re-orthogonalisation: after k products the operator is known on the Krylov space of the start vector,
and the eigenvalues of its k x k restriction (Ritz values) approach those at the ends of the spectrum. For a Ritz value whose eigenvector of
the small matrix is s, |beta_k s_k| is the norm of A y - theta y, and some eigenvalue lies within it (Parlett 1998, The Symmetric
Eigenvalue Problem, 13.2). Vectors stay on their device; each product costs one transfer of a few numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

#: A remainder this small beside the operator is rounding: the Krylov space is complete.
_ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-13}

Operator = Callable[[torch.Tensor], torch.Tensor]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """What the products say of an operator's spectrum.

    Attributes:
        values: largest Ritz values, the largest first: lower bounds of the largest eigenvalues.
        residuals: for each of them a bound on its distance to some eigenvalue.
        lowest: the smallest Ritz value, an upper bound of the smallest eigenvalue.
        vector: (n,) unit Ritz vector of the largest value.
        products: how often the operator was applied.
        asymmetry: largest difference between entries of the restriction that symmetry makes equal, over its largest entry. Rounding, unless
            the operator is not symmetric.
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    lowest: float
    vector: torch.Tensor
    products: int
    asymmetry: float


def lanczos(operator: Operator, start: torch.Tensor, most_products: int, tolerance: float, count: int = 1) -> Spectrum:
    """Approximate the largest eigenvalues.

    Args:
        operator: maps an (n,) vector to an (n,) vector of the same type; symmetric.
        start: (n,) vector in float32 or float64, not zero. The closer to the eigenvector, the fewer products.
        most_products: end after this many.
        tolerance: end as soon as the largest value's residual is below this share of it, dimensionless.
        count: how many eigenvalues to return; the tolerance must hold for each. Fewer come back where the Krylov space is smaller.

    Returns:
        The eigenvalues found, the largest first, each with its residual.

    Raises:
        ArithmeticError: the operator gave a value that is not finite.
    """
    basis = [start / start.norm()]
    restriction = np.zeros((most_products, most_products))
    asymmetry = 0.0
    while True:
        last = len(basis) - 1
        image = operator(basis[last])
        column, rest = _orthogonalise(image, basis)
        restriction[: last + 1, last] = column
        beta = float(rest.norm())
        if not np.isfinite(beta) or not np.isfinite(column).all():
            raise ArithmeticError("a product with the operator is not finite")
        expected = np.append(np.zeros(max(last - 1, 0)), restriction[last, last - 1]) if last else np.zeros(0)
        asymmetry = max(asymmetry, float(np.abs(column[:-1] - expected).max(initial=0.0)))
        values, small, residuals = _ritz(restriction[: last + 1, : last + 1], beta, count)
        size = float(np.abs(restriction).max())
        complete = beta <= _ROUNDING[start.dtype] * size
        if complete or len(basis) == most_products or (len(values) >= count and (residuals <= tolerance * np.abs(values)).all()):
            break
        restriction[last + 1, last] = beta
        basis.append(rest / beta)
    lowest = float(np.linalg.eigvalsh(_symmetric(restriction[: last + 1, : last + 1]))[0])
    vector = sum(weight * direction for weight, direction in zip(small[:, 0].tolist(), basis, strict=True))
    assert isinstance(vector, torch.Tensor)
    vector /= vector.norm()
    relative = asymmetry / size if size else 0.0
    return Spectrum(tuple(values.tolist()), tuple(residuals.tolist()), lowest, vector, len(basis), relative)


def _orthogonalise(image: torch.Tensor, basis: list[torch.Tensor]) -> tuple[Matrix, torch.Tensor]:
    """Return the components of an image along the basis, and what is left; twice is enough (Kahan, in Parlett 1998, 6.9)."""
    column = np.zeros(len(basis))
    for _ in range(2):
        found = torch.stack([torch.dot(direction, image) for direction in basis])
        for weight, direction in zip(found, basis, strict=True):
            image = image - weight * direction
        column += np.array(found.tolist())
    return column, image


def _symmetric(restriction: Matrix) -> Matrix:
    """Return the tridiagonal matrix: its lower half as it was computed, mirrored."""
    diagonal, below = np.diag(restriction), np.diag(restriction, -1)
    return np.diag(diagonal) + np.diag(below, -1) + np.diag(below, 1)


def _ritz(
    restriction: NDArray[np.float64], beta: float, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest Ritz values, largest first, their vectors in the basis as columns, and their residuals."""
    values, vectors = np.linalg.eigh(_symmetric(restriction))
    chosen = slice(None, -count - 1, -1)
    return values[chosen], vectors[:, chosen], np.abs(beta * vectors[-1, chosen])
