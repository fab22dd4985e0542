"""The curvature of a loss over its parameters, from the graph that its forward left behind.

A Hessian-vector product is one more backward through the gradient's own graph (Pearlmutter 1994; reverse over reverse), so the largest
eigenvalue costs a handful of products and no second forward: dropout masks and batch statistics are those of the forward itself, and the
graph survives for the backward that follows. No gradient is stored and no random number of the program is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch.autograd import grad  # before a recorder watches it

from bnprobe.errors import CurvatureError
from bnprobe.measure.graph import nodes
from bnprobe.measure.lanczos import Spectrum, lanczos
from bnprobe.measure.thresholds import NoMetricYet, Rule, UnknownRule, limit_of, rule_of

#: A Hessian is symmetric. Rounding reaches a thousandth in bfloat16; an operator that is another at each product reaches 1.
MOST_ASYMMETRY = 0.03
#: Share of noise in a start vector that was an eigenvector once: a part of the network that the others do not reach is found again, too.
NOISE = 0.01


@dataclass(frozen=True)
class Sharpness:
    """The curvature of a loss, and what the optimizer in use can stand of it.

    Attributes:
        value: largest eigenvalue of the Hessian, in units of the loss over the square of the weights.
        residual: bound on its distance to an eigenvalue, in the same unit.
        lowest: the smallest Ritz value: the Hessian has an eigenvalue at or below it.
        values: the largest eigenvalues that were asked for, largest first.
        products: Hessian-vector products that were computed, in all.
        preconditioned: the largest eigenvalue in the optimizer's own metric, to be compared with ``threshold``; NaN without an optimizer.
        preconditioned_residual: its bound.
        threshold: what ``preconditioned`` must stay below for a stable step of the first parameter's group; NaN without an optimizer.
        learning_rate: the rate of that group.
        limit: the rate at which ``preconditioned`` would be at its threshold, all groups' rates scaled together.
        settled: share of their memory that the optimizer's second moments have seen, where it has any; below 1 the limit means little.
        reason: why threshold and limit are missing, or "".
    """

    value: float
    residual: float
    lowest: float
    values: tuple[float, ...]
    products: int
    preconditioned: float = math.nan
    preconditioned_residual: float = math.nan
    threshold: float = math.nan
    learning_rate: float = math.nan
    limit: float = math.nan
    settled: float = math.nan
    reason: str = ""


def sharpness(
    loss: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    *,
    count: int = 1,
    most_products: int = 64,
    tolerance: float = 1e-3,
) -> Sharpness:
    """Measure the curvature of a loss between its forward and its backward.

    Nothing changes: gradients are not stored, the graph stays, ``loss.backward()`` gives the same bits as without.

    Args:
        loss: a scalar with a graph.
        parameters: the leaves over which it is curved.
        optimizer: torch's SGD, Adam, AdamW, RMSprop or Adagrad that trains them; adds its threshold and the limit of its rate.
        count: how many of the largest eigenvalues to find.
        most_products: end each of the one or two searches after this many Hessian-vector products.
        tolerance: end when the residual is below this share of the value, dimensionless.

    Returns:
        The largest eigenvalue, its residual and, with an optimizer, its threshold and the largest stable learning rate.

    Raises:
        CurvatureError: the loss is not a finite scalar with a graph, reaches none of the parameters, or an operation in its graph
            has no second derivative (fused attention, CTC loss, a compiled graph, a recurrent layer of cuDNN).
        MemoryError: the graph of the gradient does not fit beside that of the loss.

    Source: Lanczos on Hessian-vector products; thresholds as derived in ``bnprobe.measure.thresholds``.

    >>> weights = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (torch.tensor([1.0, 4.0, 2.5]) * weights**2).sum()
    >>> found = sharpness(loss, [weights], torch.optim.SGD([weights], lr=0.1, momentum=0.9))
    >>> round(found.value, 3), round(found.threshold, 3), round(found.limit, 3)
    (8.0, 38.0, 0.475)
    """
    tracker = SharpnessTracker()
    optimizers = [] if optimizer is None else [optimizer]
    return tracker.measure([loss], list(parameters), optimizers, Effort(most_products, most_products, tolerance, count))


class Hessian:
    """The Hessian of a sum of scalars over parameters, as an operator on vectors that hold all of them end to end.

    Args:
        losses: scalars with a graph.
        parameters: leaves; those that no loss depends on are left out of ``parameters``.
        factor: divides the losses' gradients: a gradient scaler's.

    Raises:
        CurvatureError: as ``sharpness``.
    """

    def __init__(self, losses: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], factor: float = 1.0) -> None:
        _check(losses, parameters)
        with torch.enable_grad(), _explained():
            found = grad(losses, list(parameters), create_graph=True, allow_unused=True)
        pairs = [(parameter, gradient) for parameter, gradient in zip(parameters, found, strict=True) if gradient is not None]
        if not pairs:
            raise CurvatureError("the loss reaches none of the parameters", "a checkpoint with use_reentrant=True hides them")
        if any(gradient.layout is not torch.strided for _, gradient in pairs):
            raise CurvatureError("a gradient is sparse, which has no second derivative")
        self.parameters = [parameter for parameter, _ in pairs]
        self.products = 0
        self._gradients = [gradient for _, gradient in pairs]
        _check_graph(self._gradients)
        self._factor = factor
        self._device = self.parameters[0].device
        self._dtype = torch.float64 if any(parameter.dtype is torch.float64 for parameter in self.parameters) else torch.float32

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.parameters)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return the product with an (n,) vector."""
        self.products += 1
        curved = [place for place, gradient in enumerate(self._gradients) if gradient.requires_grad]
        if not curved:
            return torch.zeros_like(vector)
        parts = list(self._split(vector))
        outputs = [self._gradients[place] for place in curved]
        with _explained():
            images = grad(outputs, self.parameters, [parts[place] for place in curved], retain_graph=True, allow_unused=True)
        whole = [torch.zeros_like(own) if image is None else image for image, own in zip(images, self.parameters, strict=True)]
        return self.flat(whole).div_(self._factor)

    def flat(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return tensors of the parameters' shapes end to end, as a vector of the operator's type."""
        return torch.cat([part.detach().reshape(-1).to(self._device, self._dtype) for part in parts])

    def random(self, seed: int) -> torch.Tensor:
        """Return a normal vector, without drawing a random number that the program would have drawn."""
        generator = torch.Generator(self._device).manual_seed(seed)
        return torch.randn(self.size, generator=generator, device=self._device, dtype=self._dtype)

    def _split(self, vector: torch.Tensor) -> Iterator[torch.Tensor]:
        sizes = [parameter.numel() for parameter in self.parameters]
        for part, gradient in zip(torch.split(vector, sizes), self._gradients, strict=True):
            yield part.reshape(gradient.shape).to(gradient.device, gradient.dtype)


@dataclass(frozen=True)
class Effort:
    """How hard to look.

    Attributes:
        first: most products of a search that has nothing to start from.
        later: products of a search that starts from the eigenvector of the last time. All are spent: such a search has converged
            before it has seen whether another eigenvalue has become larger.
        tolerance: residual over value at which a first search ends.
        count: eigenvalues to find.
        both: also search the Hessian's own eigenvalues where the optimizer has a metric of its own, which is what decides.
    """

    first: int
    later: int
    tolerance: float
    count: int = 1
    both: bool = True


class SharpnessTracker:
    """Measures sharpness again and again, each time from the eigenvectors it found the last time."""

    def __init__(self) -> None:
        self._vectors: dict[str, tuple[tuple[int, ...], torch.Tensor]] = {}
        self._measured = 0

    def measure(
        self,
        losses: Sequence[torch.Tensor],
        parameters: Sequence[torch.Tensor],
        optimizers: Sequence[torch.optim.Optimizer],
        effort: Effort,
        factor: float = 1.0,
    ) -> Sharpness:
        """Measure once.

        Args:
            losses: scalars whose sum is descended.
            parameters: leaves.
            optimizers: those that train them; none leaves threshold and limit open.
            effort: how hard to look; there are two searches where the optimizer has a metric of its own.
            factor: a gradient scaler's factor in the losses.

        Returns:
            The same as ``sharpness``.

        Raises:
            CurvatureError: as ``sharpness``.
        """
        self._measured += 1
        try:
            return self._measure(Hessian(losses, parameters, factor), optimizers, effort)
        except ArithmeticError as error:
            raise CurvatureError(f"{error}: the loss leaves the range of its number type") from error

    def _measure(self, hessian: Hessian, optimizers: Sequence[torch.optim.Optimizer], effort: Effort) -> Sharpness:
        rules, reason = _rules(optimizers, hessian.parameters)
        metric = _metric(hessian, rules) if rules else None
        plain = self._search("plain", hessian, None, effort) if metric is None or effort.both else None
        own = self._search("preconditioned", hessian, metric, effort) if metric is not None else None
        value, residual, lowest = math.nan, math.nan, math.nan
        values: tuple[float, ...] = ()
        if plain is not None:
            value, residual, lowest, values = plain.values[0], plain.residuals[0], plain.lowest, plain.values
        known = Sharpness(value, residual, lowest, values, hessian.products, reason=reason)
        if not rules:
            return known
        first = rules[0]
        per_load = first.constant / first.rate
        load = (value + first.decay) / per_load if own is None else own.values[0]
        return replace(
            known,
            preconditioned=load * per_load + first.threshold - per_load,
            preconditioned_residual=residual if own is None else own.residuals[0] * per_load,
            threshold=first.threshold,
            learning_rate=first.rate,
            limit=limit_of(load, rules),
            settled=min((rule.settled for rule in rules if not math.isnan(rule.settled)), default=math.nan),
        )

    def _search(self, name: str, hessian: Hessian, metric: _Metric | None, effort: Effort) -> Spectrum:
        """Find the largest eigenvalues of H, or the largest of D^1/2 (H + g) D^1/2."""

        def preconditioned(vector: torch.Tensor) -> torch.Tensor:
            assert metric is not None
            scaled = metric.scale * vector
            return metric.scale * (hessian(scaled) + metric.decay * scaled)

        whom = tuple(id(parameter) for parameter in hessian.parameters)
        start, most, tolerance = hessian.random(self._measured), effort.first, effort.tolerance
        known, vector = self._vectors.get(name, ((), start))
        if known == whom and vector.shape == start.shape:
            start, most, tolerance = vector + (NOISE / start.norm()) * start, effort.later, 0.0
        count = effort.count if metric is None else 1
        spectrum = lanczos(hessian if metric is None else preconditioned, start, min(most, hessian.size), tolerance, count)
        if spectrum.asymmetry > MOST_ASYMMETRY:
            raise CurvatureError(
                "the second derivative is not symmetric: something in the graph is computed anew, and otherwise, at each product "
                "(a checkpoint that does not keep its random numbers)"
            )
        self._vectors[name] = (whom, spectrum.vector)
        return spectrum


def _check_graph(gradients: Sequence[torch.Tensor]) -> None:
    """Refuse a gradient with a part that cannot be differentiated: a product would leave that part out and say nothing."""
    reasons = {
        "torch::autograd::Error": "no second derivative: a backward in the graph is marked once_differentiable",
        "torch::autograd::NotImplemented": "no second derivative: torch has none for an operation in the graph",
    }
    for node in nodes(gradients, math.inf):  # as long as that of the loss allows
        if (reason := reasons.get(node.name())) is not None:
            raise CurvatureError(reason)


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever a graph's own operations raise says that there is no second derivative, but for a lack of memory."""
    try:
        yield
    except Exception as error:
        text = (str(error).splitlines() or [""])[0][:200]
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in text:
            raise MemoryError(text) from error
        raise CurvatureError(f"no second derivative: {text or type(error).__name__}") from error


def _check(losses: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor]) -> None:
    for loss in losses:
        if loss.numel() != 1:
            raise CurvatureError(f"the loss has {loss.numel()} values, expected one")
        if not loss.requires_grad:
            raise CurvatureError("the loss has no graph", "measure it between its forward and its backward, with gradients enabled")
    if not all(math.isfinite(float(loss.detach())) for loss in losses):
        raise CurvatureError("the loss is not finite")
    for parameter in parameters:
        if hasattr(parameter, "to_local"):
            raise CurvatureError("the parameters are sharded over processes, and a product needs them whole")
        if parameter.is_complex():
            raise CurvatureError("a parameter is complex")


class _Metric(NamedTuple):
    """The square root of D, and the decay inside the gradient, of every weight: (n,) each."""

    scale: torch.Tensor
    decay: torch.Tensor


def lacks_metric(optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[torch.Tensor]) -> bool:
    """Whether an optimizer of these will step them in a metric of its own that does not exist before its first step."""
    groups = _groups(optimizers)
    try:
        for parameter in parameters:
            if id(parameter) in groups:
                rule_of(*groups[id(parameter)], parameter)
    except NoMetricYet:
        return True
    except UnknownRule:
        return False
    return False


def _groups(optimizers: Sequence[torch.optim.Optimizer]) -> dict[int, tuple[torch.optim.Optimizer, dict[str, Any]]]:
    """Return the optimizer and the group of every parameter, by its id."""
    return {
        id(parameter): (optimizer, group) for optimizer in optimizers for group in optimizer.param_groups for parameter in group["params"]
    }


def _rules(optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[torch.Tensor]) -> tuple[list[Rule], str]:
    """Return the rule of every parameter, in order; or none, and why."""
    if not optimizers:
        return [], "no optimizer is known that moves the weights"
    groups = _groups(optimizers)
    missing = sum(id(parameter) not in groups for parameter in parameters)
    if missing:
        return [], f"{missing} of the parameters are in none of the optimizer's groups"
    try:
        rules = [rule_of(*groups[id(parameter)], parameter) for parameter in parameters]
    except UnknownRule as reason:
        return [], str(reason)
    return (rules, "") if rules[0].rate > 0 else ([], "the learning rate is 0")


def _metric(hessian: Hessian, rules: Sequence[Rule]) -> _Metric | None:
    """Return the optimizer's metric; None where it is a multiple of the plain one."""
    if all(rule.preconditioner is None for rule in rules) and len({(rule.rate, rule.constant, rule.decay) for rule in rules}) == 1:
        return None
    scales, decays = [], []
    for parameter, rule in zip(hessian.parameters, rules, strict=True):
        own = torch.ones_like(parameter) if rule.preconditioner is None else rule.preconditioner
        scales.append((rule.rate / rule.constant / own.double()).sqrt())
        decays.append(torch.full_like(parameter, rule.decay))
    return _Metric(hessian.flat(scales), hessian.flat(decays))
