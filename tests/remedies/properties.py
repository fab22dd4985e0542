"""What each remedy promises of a network, measured without asking it: which layers there are is found here, by what they compute.

A property takes a training and the moment ("start" once the optimizers are built, "stepped" after each step) and yields "layer: what is
wrong" for each layer at which it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.remedies.trainings import Training, tensor_of

Property = Callable[[Training, str], Iterator[str]]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


# -- what there is ----------------------------------------------------------------------------------------------------


def modules_of(training: Training) -> Iterator[tuple[str, nn.Module]]:
    for model in training.models:
        yield from model.named_modules()


def is_trained(parameter: Tensor, training: Training) -> bool:
    return any(parameter is p for one in training.optimizers for group in one.param_groups for p in group["params"])


def original(module: nn.Module, name: str = "weight") -> Tensor | None:
    """Return the parameter that a weight is computed from, or is."""
    if hasattr(module, "parametrizations") and name in module.parametrizations:
        parts = module.parametrizations[name]
        return parts.original1 if hasattr(parts, "original1") else parts.original
    return module._parameters.get(name)


def convolutions(training: Training) -> list[tuple[str, nn.Module]]:
    found = [(name, one) for name, one in modules_of(training) if isinstance(one, (*CONVOLUTIONS, *TRANSPOSED))]
    return [(name, one) for name, one in found if is_trained(original(one), training)]


def matrices(training: Training) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield all trained weights of more than one axis by module and key, but for tables of embeddings: no kind of layer is named."""
    seen: set[int] = set()
    for name, module in modules_of(training):
        keys = [key for key in module._parameters if "weight" in key]
        if hasattr(module, "parametrizations"):
            keys += list(module.parametrizations)
        for key in keys:
            parameter = original(module, key)
            if parameter is None or parameter.dim() < 2 or isinstance(module, nn.Embedding) or id(parameter) in seen:
                continue
            if type(module).__name__ == "ParametrizationList" or not is_trained(parameter, training):
                continue
            seen.add(id(parameter))
            yield name, module, key


def units_first(module: nn.Module, weight: Tensor) -> Tensor:
    """Return a weight, or what is of its shape, with the outputs on its first axis: GPT-2's linear layers have them on the second."""
    weight = weight.detach().double()
    turned = isinstance(module, TRANSPOSED) or (type(module).__name__.endswith("Conv1D") and weight.dim() == 2)
    return weight.transpose(0, 1) if turned else weight


def is_activation(module: nn.Module) -> bool:
    """Whether a module without parts maps each element by itself, and not linearly."""
    if module._modules.keys() - {"added_dropout"} or module._parameters or isinstance(module, nn.Dropout | nn.MultiheadAttention):
        return False
    x = torch.linspace(-2.0, 2.0, 24).reshape(1, 2, 3, 4)
    try:
        with torch.no_grad():
            zero, y, twice, minus = (type(module).forward(module, factor * x) for factor in (0, 1, 2, -1))
            turned = type(module).forward(module, x.flip((1, 2, 3)))
    except Exception:
        return False
    if not isinstance(y, Tensor) or y.shape != x.shape or not torch.allclose(turned.flip((1, 2, 3)), y):
        return False
    return not (torch.allclose(twice - zero, 2 * (y - zero), atol=1e-3) and torch.allclose(minus - zero, zero - y, atol=1e-3))


def calls(training: Training, wanted: Callable[[nn.Module], bool]) -> dict[str, tuple[nn.Module, tuple[Any, ...], Any]]:
    """Run the models once in training mode and return the first call of each module that is wanted: module, arguments, result."""
    found: dict[str, tuple[nn.Module, tuple[Any, ...], Any]] = {}
    handles = []
    for name, module in modules_of(training):
        if wanted(module):

            def keep(module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any, name: str = name) -> None:
                args = (*args, *kwargs.values())
                kept = lambda one: one.clone() if isinstance(one, Tensor) else one  # noqa: E731 - what comes next may write to it
                found.setdefault(name, (module, tuple(map(kept, args)), kept(output)))

            handles.append(module.register_forward_hook(keep, with_kwargs=True))
    try:
        for model in training.models:
            model.train()
        with torch.no_grad():
            list(training.forwards())
    finally:
        for handle in handles:
            handle.remove()
    return found


class Additions(TorchFunctionMode):
    """Notes every addition of two tensors of one shape that come from a common value, and the module in whose code it stands."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.found: list[tuple[str, Tensor, Tensor]] = []
        self._inside: list[str] = []
        self._handles = []
        for name, module in modules_of(training):
            self._handles += [
                module.register_forward_pre_hook(lambda *_, name=name: self._inside.append(name), prepend=True),
                module.register_forward_hook(lambda *_: self._leave()),
            ]

    def _leave(self) -> None:
        self._inside.pop()

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if getattr(func, "__name__", "") in ("add", "add_", "__add__", "__iadd__", "__radd__") and len(args) > 1:
            one, other = args[:2]
            if isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape and one.dim() > 1:
                if one.grad_fn is not None and other.grad_fn is not None and ancestors(one) & ancestors(other):
                    self.found.append((self._inside[-1], one.detach().clone(), other.detach().clone()))
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()


def ancestors(tensor: Tensor) -> set[Any]:
    """Return what a tensor was computed from, without the parameters."""
    found, pending = set(), [tensor.grad_fn]
    while pending:
        node = pending.pop()
        if node is not None and node not in found and type(node).__name__ != "AccumulateGrad":
            found.add(node)
            pending += [before for before, _ in node.next_functions]
    return found


def additions(training: Training) -> list[tuple[str, Tensor, Tensor]]:
    with Additions(training) as noted:
        list(training.forwards())
    return noted.found


# -- the properties ---------------------------------------------------------------------------------------------------


def msr(training: Training, moment: str) -> Iterator[str]:
    first = [next((one for one in model.modules() if isinstance(one, CONVOLUTIONS)), None) for model in training.models]
    for name, module in convolutions(training):
        weight = original(module).detach().double()
        positions = tuple(range(2, weight.dim())) if weight[0, 0].numel() > 1 else (1,)
        if weight[0].numel() == 1:
            continue
        if moment == "start" and not torch.allclose(weight.flatten(1).norm(dim=1), weight.new_ones(len(weight)), atol=1e-5):
            yield f"{name}: filters are not of magnitude 1"
        projected = positions != (1,) and not any(module is one for one in first)
        share = float(weight.mean(positions).abs().max() / weight.square().mean().sqrt())
        if (moment == "start" or projected) and share > 1e-6:
            yield f"{name}: slice means of {share:.2g} of the rms"


def msr_published(training: Training, moment: str) -> Iterator[str]:
    if moment == "start":
        yield from msr(training, moment)
    firsts = [next((one for one in model.modules() if isinstance(one, CONVOLUTIONS)), None) for model in training.models]
    for name, module in convolutions(training):
        if not any(module is one for one in firsts) and module.bias is not None and module.bias.abs().max() > 0:
            yield f"{name}: a bias of {float(module.bias.detach().abs().max()):.2g}"
        if not hasattr(module, "parametrizations") and original(module)[0].numel() > 1:
            yield f"{name}: no scale of its filters"
    for optimizer in training.optimizers:
        decays = [group["weight_decay"] for group in optimizer.param_groups]
        if moment == "start":
            optimizer.decays_built = decays  # type: ignore[attr-defined]
        elif decays != optimizer.decays_built:  # type: ignore[attr-defined]
            yield "a weight decay is not the script's own after the step"


def first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    return (args[0] if args else next(iter(kwargs.values()))).detach().clone()


def noise(training: Training, moment: str) -> Iterator[str]:
    if moment != "start":
        return
    blocks = {name for name, _, _ in additions(training) if name}
    for name in blocks:
        block = dict(modules_of(training))[name]
        before: list[Tensor] = []
        after: list[Tensor] = []
        handles = [
            block.register_forward_pre_hook(lambda _, a, k, kept=before: kept.append(first(a, k)), prepend=True, with_kwargs=True),
            block.register_forward_pre_hook(lambda _, a, k, kept=after: kept.append(first(a, k)), with_kwargs=True),
        ]
        list(training.forwards())
        for handle in handles:
            handle.remove()
        if not before:
            continue  # not called
        used = before[0].abs() > 1e-3
        factors = (after[0].double() / before[0].double())[used]
        if (factors - 1.0).abs().max() > 0.1 + 1e-4 or (factors - 1.0).abs().max() < 0.02:
            yield f"{name}: factors from {float(factors.min()):.3g} to {float(factors.max()):.3g}"


def batch_norm(training: Training, moment: str) -> Iterator[str]:
    for name, (module, args, output) in normalised_calls(training).items():
        raw = torch.tensor(float("inf"))
        if len(args) == 1:
            with torch.no_grad():  # without the hook
                raw = by_channel(module, type(module).forward(module, *args)).transpose(0, 1).flatten(1).var(1, correction=0)
        y = by_channel(module, output).transpose(0, 1).flatten(1)
        if y.mean(1).abs().max() > 1e-4 or (y.var(1, correction=0) - 1 / (1 + 1e-5 / raw)).abs().max() > 1e-3:
            yield f"{name}: means up to {float(y.mean(1).abs().max()):.2g}, variances {float(y.var(1, correction=0).min()):.3g} and up"


def normalised_calls(training: Training) -> dict[str, tuple[nn.Module, tuple[Any, ...], Any]]:
    """Return the call of each layer before the last: module, arguments, result."""
    kinds = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, nn.RNNBase, nn.MultiheadAttention)
    inside = {child for _, one in modules_of(training) if isinstance(one, nn.MultiheadAttention) for child in one.children()}
    last = {[one for one in model.modules() if isinstance(one, (*CONVOLUTIONS, *TRANSPOSED, nn.Linear))][-1] for model in training.models}
    return calls(training, lambda one: isinstance(one, kinds) and one not in inside | last)


def by_channel(module: nn.Module, output: Any) -> Tensor:
    """Return what a layer gives as (samples or moments, channels, positions)."""
    y = tensor_of(output).detach().double()
    return y.flatten(2) if isinstance(module, (*CONVOLUTIONS, *TRANSPOSED)) else y.reshape(-1, y.shape[-1], 1)


def normalised_layers(training: Training) -> Iterator[tuple[str, Tensor]]:
    """Yield what each layer before the last gives."""
    for name, (module, _, output) in normalised_calls(training).items():
        yield name, by_channel(module, output)


def layer_norm(training: Training, moment: str) -> Iterator[str]:
    for name, y in normalised_layers(training):
        if y.mean((1, 2)).abs().max() > 1e-5 or (y.var((1, 2), correction=0).median() - 1).abs() > 0.02:
            yield f"{name}: means up to {float(y.mean((1, 2)).abs().max()):.2g}, variance {float(y.var((1, 2), correction=0).median()):.3g}"


def group_norm(training: Training, moment: str) -> Iterator[str]:
    for name, y in normalised_layers(training):
        channels = y.shape[1]
        groups = max((count for count in range(1, 33) if channels % count == 0 and channels // count >= 8), default=1)
        parts = y.reshape(len(y), groups, -1)
        if parts.mean(2).abs().max() > 1e-5 or (parts.var(2, correction=0).median() - 1).abs() > 0.02:
            yield f"{name}: means up to {float(parts.mean(2).abs().max()):.2g} over {groups} groups"


def rms_norm(training: Training, moment: str) -> Iterator[str]:
    for name, y in normalised_layers(training):
        energy = y.square().mean((1, 2))
        if (energy.median() - 1).abs() > 0.02:
            yield f"{name}: root mean square {float(energy.median().sqrt()):.3g}"


def warm_up(training: Training, moment: str) -> Iterator[str]:
    """The rates stay the script's own, and the first update is a hundredth of the one without the remedy."""
    if any(group["lr"] not in (1e-3, 2e-4) for one in training.optimizers for group in one.param_groups):
        yield "a rate is not the script's own after the step"
    for number, optimizer in enumerate(training.optimizers):
        weights = [p.detach().double() for group in optimizer.param_groups for p in group["params"]]
        before = getattr(optimizer, "weights_before", None)
        optimizer.weights_before = [one.clone() for one in weights]  # type: ignore[attr-defined]
        if before is None or hasattr(optimizer, "has_been_measured"):
            continue
        optimizer.has_been_measured = True  # type: ignore[attr-defined]
        rate = optimizer.param_groups[0]["lr"]
        moved = [float((one - two).abs().max()) for one, two in zip(weights, before, strict=True)]
        if isinstance(optimizer, torch.optim.SGD):  # momentum has nothing to add to the first step
            own = [rate * float(p.grad.abs().max()) for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        elif isinstance(optimizer, torch.optim.Muon):  # nearly orthogonal matrices
            own = [rate]
            moved = [float(torch.linalg.matrix_norm(one - two, 2)) for one, two in zip(weights, before, strict=True)]
            shapes = [max(1.0, one.shape[0] / one.shape[1]) ** 0.5 for one in weights]
            moved = [0.01 * rate if 0.006 < one / (rate * shape) < 0.014 else one for one, shape in zip(moved, shapes, strict=True)]
        else:  # Adam's first step is the rate, for every element
            own = [rate]
        if not 0.008 < max(moved) / max(own) < 0.012:
            yield f"optimizer {number}: the first step is {max(moved) / max(own):.3g} of its own"


def no_norm(training: Training, moment: str) -> Iterator[str]:
    for name, change in scale_changes(training).items():
        if change < 0.1:
            yield f"{name}: seven times the signal changes its output by {change:.2g}"


def scale_changes(training: Training) -> dict[str, float]:
    """Return, for each module that takes one tensor, by how much its output changes when it is seven times as large, beside minus it."""
    found: dict[str, float] = {}
    for name, (module, args, output) in calls(training, lambda one: not isinstance(one, nn.MultiheadAttention)).items():
        if len(args) != 1 or not isinstance(args[0], Tensor) or not args[0].is_floating_point() or not isinstance(output, Tensor):
            continue
        x = args[0].detach()
        with torch.no_grad(), torch.random.fork_rng():
            y, larger, turned = module(x.clone()), module(7 * x), module(-x)
        if isinstance(y, Tensor) and (turned - y).norm() > 1e-6 * y.norm():
            found[name] = float((larger - y).norm() / (turned - y).norm())
    return found


def weight_norm(training: Training, moment: str) -> Iterator[str]:
    for name, module, key in matrices(training):
        weight = units_first(module, getattr(module, key))
        parts = getattr(module, "parametrizations", {})
        if key not in parts:
            yield f"{name}: '{key}' has no length of its own"
            continue
        lengths = weight.flatten(1).norm(dim=1)
        if not torch.allclose(lengths, parts[key].original0.detach().double().flatten(), rtol=1e-4):
            yield f"{name}: lengths are not those that are learned"
        if moment == "stepped" and parts[key].original0.grad is None:
            yield f"{name}: lengths are not trained"


def gradients(training: Training) -> Iterator[list[Tensor]]:
    for optimizer in training.optimizers:
        yield [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def clip_norm(training: Training, moment: str) -> Iterator[str]:
    for number, some in enumerate(gradients(training)):
        norm = torch.cat([one.detach().double().flatten() for one in some]).norm() if some else torch.zeros(())
        if norm > 1.0 + 1e-5:
            yield f"optimizer {number}: a gradient of norm {float(norm):.3g}"


def clip_value(training: Training, moment: str) -> Iterator[str]:
    for number, some in enumerate(gradients(training)):
        largest = max((float(one.abs().max()) for one in some), default=0.0)
        if largest > 0.1 + 1e-7:
            yield f"optimizer {number}: an element of {largest:.3g}"


def agc(training: Training, moment: str) -> Iterator[str]:
    spared = {id(p) for model in training.models for _, one in _heads(model) for p in one.parameters()}
    owners = {id(p): one for _, one in modules_of(training) for p in one._parameters.values() if p is not None}
    for name, parameter in ((n, p) for model in training.models for n, p in model.named_parameters()):
        if parameter.grad is None or id(parameter) in spared:
            continue
        owner = owners[id(parameter)] if not isinstance(owners[id(parameter)], TRANSPOSED) else nn.Identity()
        lengths, of_weights = (
            units_first(owner, one).flatten(1).norm(dim=1) if one.dim() > 1 else one.detach().double().norm()
            for one in (parameter.grad, parameter)
        )
        ratio = (lengths / of_weights.clamp(min=1e-3)).max()
        if ratio > 0.0102:  # the weights have moved by a thousandth of that
            yield f"{name}: a unit's gradient of {float(ratio):.3g} of its weights"


def dropout(training: Training, moment: str) -> Iterator[str]:
    for name, (module, _, _) in calls(training, is_activation).items():
        with torch.no_grad():
            x = torch.rand(40, 50) + 0.5  # no zeros of an activation's own
            plain, dropped = type(module).forward(module, x.clone()), module(x.clone())
            kept = dropped != 0
            if not 0.05 < 1 - float(kept.float().mean()) < 0.15 or not torch.allclose(dropped[kept], plain[kept] / 0.9):
                yield f"{name}: {float((~kept).float().mean()):.3g} of its outputs are dropped"
            module.eval()
            if not torch.equal(module(x.clone()), plain):
                yield f"{name}: drops in evaluation"
            module.train()


def gradient_centralisation(training: Training, moment: str) -> Iterator[str]:
    for name, module, key in matrices(training):
        gradient = original(module, key).grad
        if gradient is not None:
            flat = (gradient if isinstance(module, TRANSPOSED) else units_first(module, gradient)).detach().double().flatten(1)
            if flat.mean(1).abs().max() > 1e-5 * flat.square().mean().sqrt() and flat.abs().max() > 1e-8:  # rounding
                yield f"{name}: '{key}' has a gradient of mean {float(flat.mean(1).abs().max()):.2g}"


def weight_standardisation(training: Training, moment: str) -> Iterator[str]:
    for name, module in convolutions(training):
        flat = module.weight.detach().double().flatten(1)
        if flat.mean(1).abs().max() > 1e-6 or not torch.allclose(flat.norm(dim=1), flat.new_ones(len(flat)), atol=1e-3):
            yield f"{name}: filters of mean {float(flat.mean(1).abs().max()):.2g}, magnitude {float(flat.norm(dim=1).min()):.3g} and up"


def spectral_norm(training: Training, moment: str) -> Iterator[str]:
    with torch.no_grad():
        for _ in range(30):  # power iterations that are not disturbed by updates
            list(training.forwards())
    for name, module, key in matrices(training):
        largest = torch.linalg.svdvals(units_first(module, getattr(module, key)).flatten(1))[0]
        if abs(largest - 1) > 0.05:
            yield f"{name}: '{key}' has a singular value of {float(largest):.3g}"


def skip_init(training: Training, moment: str) -> Iterator[str]:
    if moment == "start":
        for name, one, other in additions(training):
            if one.abs().max() > 0 and other.abs().max() > 0:
                yield f"{name}: a branch is added that is not switched off"
    else:
        training.steps += 1
        for model in training.models:
            for name, p in model.named_parameters():
                # A head that starts at zero lets nothing through at the first step.
                if name.endswith("added_branch_factor.factor") and (p.grad is None or (p == 0 and training.steps > 2)):
                    yield f"{name}: is not trained"


def fixup(training: Training, moment: str) -> Iterator[str]:
    if moment == "start":
        yield from skip_init(training, moment)
        for model in training.models:
            answers = [one for one in model.modules() if isinstance(one, nn.Linear)][-1:]
            if any(one.weight.abs().max() > 0 and is_trained(one.weight, training) for one in answers):
                yield "the classifier does not start at zero"
    else:
        for model in training.models:
            for name, p in model.named_parameters():
                if name.endswith(("added_branch_factor.factor", "added_shift.shift")) and p.grad is None:
                    yield f"{name}: is not trained"


def deep_norm(training: Training, moment: str) -> Iterator[str]:
    """torch's encoder layers of n are LN(a x + f(x)), a = (2 n)^(1/4), by the formula."""
    layers = {name: one for name, one in modules_of(training) if isinstance(one, nn.TransformerEncoderLayer)}
    a, b = (2 * len(layers)) ** 0.25, (8 * max(1, len(layers))) ** -0.25
    for name, layer in layers.items():
        x = torch.randn(3, 5, layer.linear1.in_features)
        with torch.no_grad():
            y = nn.functional.layer_norm(a * x + layer.self_attn(x, x, x)[0], (x.shape[-1],), layer.norm1.weight, layer.norm1.bias, 1e-5)
            hidden = layer.linear2(layer.activation(layer.linear1(y)))
            y = nn.functional.layer_norm(a * y + hidden, (x.shape[-1],), layer.norm2.weight, layer.norm2.bias, 1e-5)
            for mode in (True, False):
                if not torch.allclose(layer.train(mode)(x), y, atol=1e-5):
                    yield f"{name}: does not compute LN(a x + f(x)), training: {mode}"
        layer.train()
        queries, keys, values = layer.self_attn.in_proj_weight.chunk(3)
        for weight, gain in ((queries, 1), (keys, 1), (values, b), (layer.linear1.weight, b), (layer.linear2.weight, b)):
            expected = gain * (2 / sum(weight.shape)) ** 0.5
            if moment == "start" and not 0.85 < float(weight.detach().std()) / expected < 1.15:
                yield f"{name}: weights of deviation {float(weight.detach().std()):.3g} in place of {expected:.3g}"


class Attentions(TorchDispatchMode):
    """Notes queries and keys where torch computes an attention, below all that a module or a remedy can change."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if "scaled_dot_product" in func.name() and "backward" not in func.name():
            self.found += [one.detach().double() for one in args[:2]]
        return func(*args, **(kwargs or {}))


class AttentionCalls(TorchFunctionMode):
    """Notes queries and keys of calls that torch makes of other operations, as with dropout on a CPU."""

    def __init__(self, found: list[Tensor]) -> None:
        super().__init__()
        self._found = found

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = kwargs or {}
        if func is nn.functional.scaled_dot_product_attention:
            self._found += [one.detach().double() for one in (*args, *(given[key] for key in ("query", "key") if key in given))[:2]]
        return func(*args, **given)


def qk_norm(training: Training, moment: str) -> Iterator[str]:
    noted = Attentions()
    with noted, AttentionCalls(noted.found):
        list(training.forwards())
    if not noted.found:
        yield "no attention was seen"
    for number, one in enumerate(noted.found):
        lengths = one.square().mean(-1).sqrt()
        if (lengths - 1).abs().max() > 1e-2:
            yield f"attention {number // 2}: root mean squares from {float(lengths.min()):.3g} to {float(lengths.max()):.3g}"


def _heads(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The last linear layer, or the heads that a model names."""
    found = [(name, one) for name, one in model.named_modules() if isinstance(one, nn.Linear)]
    named = getattr(model, "heads", None)
    return [one for one in found if one[0] in named] if named else found[-1:]


def mup_output(training: Training, moment: str) -> Iterator[str]:
    """Weights of the last linear layer, or of the heads that a model names, count as 64 / inputs, the bias as it is."""
    for model in training.models:
        for name, layer in _heads(model):
            x = torch.randn(4, layer.in_features)
            with torch.no_grad():
                expected = nn.functional.linear(x * 64 / layer.in_features, layer.weight, layer.bias)
                if not torch.allclose(layer(x), expected, rtol=1e-4, atol=1e-5):
                    yield f"{name}: is not multiplied by 64 / {layer.in_features}"


PROPERTIES: dict[str, Property] = {
    "msr": msr,
    "msr-published": msr_published,
    "noise": noise,
    "batch-norm": batch_norm,
    "layer-norm": layer_norm,
    "group-norm": group_norm,
    "rms-norm": rms_norm,
    "warm-up": warm_up,
    "no-norm": no_norm,
    "weight-norm": weight_norm,
    "clip-norm": clip_norm,
    "clip-value": clip_value,
    "agc": agc,
    "dropout": dropout,
    "gradient-centralisation": gradient_centralisation,
    "weight-standardisation": weight_standardisation,
    "spectral-norm": spectral_norm,
    "skip-init": skip_init,
    "fixup": fixup,
    "deep-norm": deep_norm,
    "qk-norm": qk_norm,
    "mup-output": mup_output,
}
