"""Causes in the loop around the network: what a script forgot to do between one step and the next.

None of these is a matter of thresholds: the recorder saw whether gradients were cleared, in which mode modules ran, and who is trained.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import training
from bnprobe.analyse.layers import TRANSFORMING, module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import first_two, loss_summary, number, times

_AUTOGRAD = "backward adds to .grad (PyTorch, torch.Tensor.backward)"
_MODES = "dropout and batch norm behave differently in training and evaluation (PyTorch, torch.nn.Module.eval)"
_OPTIMIZERS = "an optimizer moves the parameters it was given, and those only where they have a gradient (PyTorch, torch.optim)"

#: Small trained parts beside weights that are kept, by the names that libraries give them.
_ADAPTERS = ("lora", "adapter", "prompt", "prefix")


def missing_zero_grad(run: RunAnalysis) -> Finding | None:
    """Gradients are not cleared between steps: each step descends the sum of all batches so far.

    Looks at what lay in `.grad` when the first backward of a step began, over the parameters which that step then moved. Looks like
    a learning rate that is too high, as the sum grows with the number of steps; there nothing lies in place. Accumulation over
    several backward calls of one step is no fault: the first of them finds nothing. Of several optimizers that step in turn, each is judged
    by its own steps. Nor is what another network's backward left behind,
    as in a GAN, if it is cleared before the backward that counts.
    """
    if _trains_copies_alone(run):
        return None
    stale = run.recorded.stale_gradient_norm
    seen = np.isfinite(stale)
    if run.divergence is not None:  # what comes later is no training any more
        seen[run.divergence.row + 1 :] = False
    for optimizer in _steps_of_optimizers(run):
        rows = np.flatnonzero(seen & optimizer)[1:]  # before its first step there was nothing to clear
        left = rows[stale[rows] > 0]
        if left.size >= thresholds.UNCLEARED_STEPS and left.size >= run.threshold(thresholds.UNCLEARED_SHARE) * rows.size:
            break
    else:
        return None
    first, last = int(left[0]), int(left[-1])
    rise = float(stale[last] / stale[first])
    grown = f", which has grown {times(rise)} in {run.recorded['step'][last] - run.recorded['step'][first]} steps" if rise > 2 else ""
    return Finding(
        id="missing-zero-grad",
        severity=run.severity(),
        confidence=0.95,
        layers=(),
        step=run.step(first),
        evidence=(
            Evidence("gradient in place before the step's first backward", float(stale[first]), 0.0, "as the gradient", run.step(first)),
            Evidence("the same at the last measured step", float(stale[last]), 0.0, "as the gradient", run.step(last)),
            Evidence("share of the measured steps that began so", left.size / rows.size, run.threshold(thresholds.UNCLEARED_SHARE)),
        ),
        cause=f"The gradients are never cleared: the first backward of step {run.step(first)} found a gradient of norm "
        f"{number(float(stale[first]))} in place and added to it, so each step descends the sum of all batches so far{grown}; "
        f"{loss_summary(run)}.",
        fix="Call `optimizer.zero_grad()` once in every step, before its first backward.",
        source=_AUTOGRAD,
    )


def _trains_copies_alone(run: RunAnalysis) -> bool:
    """Whether optimizers have copies of the network's weights only, in another precision say: the script puts their gradients there."""
    is_own = any(parameter.layer for parameter in run.recorded.parameters if parameter.group >= 0)
    return not is_own and training.moves_copies(run.recorded) and bool((run.recorded.forgotten_elements > 0).any())


def _steps_of_optimizers(run: RunAnalysis) -> list[NDArray[np.bool_]]:
    """Of each optimizer, at which rows it took a step: where it had a learning rate. All rows where none ever had."""
    names = [group.partition("[")[0] for group in run.recorded.groups]
    rates = np.isfinite(run.recorded.learning_rate)
    steps = [np.asarray(rates[:, [other == name for other in names]].any(axis=1)) for name in dict.fromkeys(names)]
    return [one for one in steps if one.any()] or [np.ones(run.recorded.steps, dtype=bool)]


def eval_mode_training(run: RunAnalysis) -> Finding | None:
    """The model trains in evaluation mode: no dropout, and batch norm with statistics that no longer follow the weights.

    Looks for forwards that a backward went through, of a model in evaluation mode, in which dropout or batch norm ran so. Looks like a
    batch norm that was frozen on purpose: there the model itself is in training mode and only some of its modules are not, or all, in a run
    that learns well. A network without such modules has no modes. Typical is a run that begins in training mode and never returns to it
    after its first validation, or not before the next epoch.
    """
    recorded = run.recorded
    rows = np.flatnonzero(recorded.modules_evaluating >= 0)
    if not rows.size:
        return None
    is_off = (recorded.model_training[rows] == 0) & (recorded.modules_evaluating[rows] > 0)
    if run.underperforms:
        is_off |= (recorded.modules_training[rows] == 0) & (recorded.modules_evaluating[rows] > 0)
    on, off = np.flatnonzero(~is_off), np.flatnonzero(is_off)
    since = int(on[-1]) + 1 if on.size else 0
    if rows.size - since >= thresholds.EVALUATING_STEPS and not (off[:since] < since).sum() > rows.size - since:
        first, last = int(rows[since]), int(rows[-1])
        before = f"{on.size} of the {since} steps before it that are known ran in training mode"
        when = "from the first step on" if since == 0 else f"since step {run.step(first)} ({before})"
    elif off.size >= max(thresholds.DEAD_STEPS, thresholds.EVALUATING_SHARE * rows.size) and (np.diff(off) == 1).mean() >= 0.5:
        first, last = int(rows[off[0]]), int(rows[off[-1]])
        when = f"at {off.size} of {rows.size} steps, from step {run.step(first)} on, each time for a while"
    else:
        return None
    evaluating, training_mode = int(recorded.modules_evaluating[last]), int(recorded.modules_training[last])
    return Finding(
        id="eval-mode-training",
        severity=run.severity(),
        confidence=0.95,
        layers=_normalising_layers(run),
        step=run.step(first),
        evidence=(
            Evidence("dropout and batch norm modules in evaluation mode", float(evaluating), 0.0, "calls", run.step(last)),
            Evidence("the same in training mode", float(training_mode), None, "calls", run.step(last)),
        ),
        cause=f"The model trains in evaluation mode {when}: {evaluating} of its {evaluating + training_mode} calls of dropout "
        f"and batch norm do what they do in an evaluation; {loss_summary(run)}.",
        fix="Call `model.train()` before training, and again after every evaluation.",
        source=_MODES,
    )


def _normalising_layers(run: RunAnalysis) -> tuple[str, ...]:
    return tuple(layer.name for layer in run.recorded.layers if layer.type.startswith("BatchNorm"))[:1]


def no_optimizer_step(run: RunAnalysis) -> Finding | None:
    """Gradients are computed, and no optimizer ever moves a weight.

    Looks for a file without a step in which backward passes were counted, while an optimizer existed. Looks like a script that ended
    before its first step, as one that accumulates many batches.
    """
    backwards = int(run.recorded.attributes.get("backwards_without_update", 0))
    if run.recorded.steps or backwards < thresholds.CALM_STEPS:
        return None
    return Finding(
        id="no-optimizer-step",
        severity="error",
        confidence=0.9,
        layers=(),
        step=None,
        evidence=(
            Evidence("backward passes", float(backwards), float(thresholds.CALM_STEPS)),
            Evidence("steps of an optimizer", 0.0, 1.0),
        ),
        cause=f"Nothing is trained: {backwards} backward passes ran, an optimizer exists, and it never took a step.",
        fix="Call `optimizer.step()` after the backward pass; `scheduler.step()` only changes the rate, and a gradient accumulated "
        "over more passes than the script makes never arrives.",
        source="backward passes and optimizer steps seen by the recorder",
    )


def gradients_cleared(run: RunAnalysis) -> Finding | None:
    """Gradients are cleared between the backward pass and the optimizer's step.

    Looks for gradients that reached the layers in every measured backward, and none that was there when the optimizer stepped. Looks like
    frozen parameters; there no gradient reaches the layers either.
    """
    if not _were_cleared(run):
        return None
    step = run.step(run.first_row)
    arrived = float(np.fmax.reduce(run.recorded.activation_gradient.rms[run.first_row], initial=0.0))
    left = "those of all weights were zero" if np.isfinite(run.recorded.parameter_gradient_norm).any() else "no weight had one"
    return Finding(
        id="gradients-cleared",
        severity="error",
        confidence=0.95,
        layers=(),
        step=step,
        evidence=(
            Evidence("largest activation gradient", arrived, 0.0, "as the gradient", step),
            Evidence("steps at which a weight had a gradient", 0.0, None, "steps"),
        ),
        cause="The gradients are cleared before they are used: in every measured step they reached the layers, and when the optimizer "
        f"stepped {left}; {loss_summary(run)}.",
        fix="Call `optimizer.zero_grad()` before the backward pass or after the step, never between the two.",
        source="activation gradients of the backward pass; parameter gradients at the optimizer's step",
    )


def _were_cleared(run: RunAnalysis) -> bool:
    """Whether gradients reached the layers in every measured backward, and none was there when the optimizer stepped, or zeros alone.

    Layers count whose weights an optimizer has: of others nobody asked for a gradient. What is so small that the gradients of weights
    may underflow in half precision has not arrived. Zeros may be right: behind an input of zeros, which gives outputs of zero, and
    behind weights that are all zero, as two factors of a low-rank update. Then nothing was cleared.
    """
    recorded, norms = run.recorded, run.recorded.parameter_gradient_norm
    stepped = np.isfinite(recorded.update_norm).any(axis=1)
    forgotten, _ = training.untrained_elements(recorded)
    is_drawn = np.any(recorded.weight_norm > 0, axis=0).tolist()
    with_weights = {one.layer for one, drawn in zip(recorded.parameters, is_drawn, strict=True) if one.group >= 0 and drawn}
    counts = np.array([module_of(layer.name) in with_weights for layer in recorded.layers], dtype=bool) & ~(forgotten > 0)
    if np.isfinite(norms[stepped]).any():
        counts &= (recorded.activation.rms > 0).any(axis=0)
    arrived = (recorded.activation_gradient.rms[:, counts] > thresholds.NO_UNDERFLOW).any(axis=1)
    both = stepped & arrived
    return bool(both.sum() >= thresholds.DEAD_STEPS and not (norms[stepped] > 0).any() and not np.isinf(norms).any())


def frozen_parameters(run: RunAnalysis) -> Finding | None:
    """Layers that work in every forward are trained by nobody.

    Looks for parameters that require a gradient and are in no optimizer, for parameters that an optimizer has and no gradient ever reached
    (a `detach`, a `no_grad`, a conversion to numpy on the way), and for those that ask for no gradient. The last may be meant, as when a
    backbone is kept: it is told for information while the rest learns, unless all that is kept lies behind trained layers and the loss
    stands above half of its start; so are normalisations among what is kept, and a table of positions. Of a network without trained
    parameters, such as a teacher, nothing is said. One that is made like a trained one and is not detached is told for information: target
    networks are given their weights, a second critic is not. Looks like vanishing gradients; those are small, not absent. An unused layer
    is no matter: only layers that were measured count.
    """
    if _were_cleared(run):  # nothing is cut off: the loop takes the gradients away
        return None
    forgotten, frozen = training.untrained_elements(run.recorded)
    is_copy = _are_copies(run) & (forgotten > 0)
    copied, forgotten = np.where(is_copy, forgotten, 0.0), np.where(is_copy, 0.0, forgotten)
    unreached = training.unreached_layers(run.recorded)
    layers = np.flatnonzero(forgotten > 0) if (forgotten > 0).any() else np.flatnonzero(unreached & ~(frozen > 0))
    if layers.size and not _is_tuning_the_head(run, layers, frozen):
        return _untrained(run, layers, forgotten)
    if (cut := _in_no_grad(run)) is not None:
        return cut
    if (still := _at_rate_zero(run)) is not None:
        return still
    return _kept(run, np.flatnonzero(frozen > 0), frozen) or _copied(run, np.flatnonzero(is_copy), copied)


def _are_copies(run: RunAnalysis) -> NDArray[np.bool_]:
    """Layers of models that are made like one that is trained, (L,): target networks and teachers are given its weights.

    Where the optimizers' own parameters get no gradient, the copy was to be trained.
    """
    trained, parts = _trained(run), dict[int, list[tuple[str, int]]]()
    for layer in run.recorded.layers:
        if layer.role == "output" and layer.call == 0:
            parts.setdefault(layer.model, []).append((layer.type, layer.channels))
    of_trained = {layer.model for layer in run.recorded.layers if module_of(layer.name) in trained}
    originals = [sorted(parts.get(model, [])) for model in of_trained if not _optimizers_train_another(run)]
    copies = {model for model, its in parts.items() if model not in of_trained and sorted(its) in originals}
    return np.array([layer.model in copies for layer in run.recorded.layers], dtype=bool)


def _is_tuning_the_head(run: RunAnalysis, layers: NDArray[np.int64], frozen: NDArray[np.float64]) -> bool:
    """Whether only normalisations of a kept backbone were left out, and what comes behind it is trained: they ask for gradients in vain."""
    kept = [run.recorded.layers[layer].depth for layer in np.flatnonzero(frozen > 0) if run.recorded.layers[layer].kind in TRANSFORMING]
    trained = {parameter.layer for parameter in run.recorded.parameters if parameter.group >= 0}
    behind = [layer.depth for layer in run.recorded.layers if module_of(layer.name) in trained and layer.kind in TRANSFORMING]
    is_norm = all(run.recorded.layers[layer].kind == "normalisation" for layer in layers)
    return is_norm and bool(kept and behind) and min(behind) > max(kept)


def _untrained(run: RunAnalysis, layers: NDArray[np.int64], forgotten: NDArray[np.float64]) -> Finding:
    first = int(min(layers, key=lambda layer: run.recorded.layers[layer].depth))
    names = _names(run, layers)
    if forgotten[first] > 0:
        count = float(np.nansum(forgotten))
        why = f"no optimizer has the {number(count)} parameters of {names}"
        evidence = Evidence("parameters that require a gradient and are in no optimizer", count, 0.0)
        if _optimizers_train_another(run):
            why += ", and what the optimizers have instead gets no gradient"
            fix = "Build the optimizer from the parameters of the model that computes the loss: it has those of another one, or of a copy."
        else:
            fix = (
                "Build the optimizer after the model is complete, from all of `model.parameters()`; layers kept in a plain list are no "
                "part of the model: use `nn.ModuleList`."
            )
    else:
        why = f"no gradient ever reached the parameters of {names}, though an optimizer has them and the layers run"
        evidence = Evidence("layers that no gradient reached", float(layers.size), 0.0)
        fix = "Look between these layers and the loss for `detach()`, `no_grad`, `.data`, numpy, or an output that is not used."
    return Finding(
        id="frozen-parameters",
        severity="error" if run.is_stuck or run.divergence is not None else "warning",
        confidence=0.9,
        layers=tuple(run.name(layer) for layer in layers[:3]),
        step=run.step(run.first_row),
        evidence=(evidence, Evidence("layers that were measured", float(len(run.recorded.layers)))),
        cause=f"A part of the network is not trained: {why}; {loss_summary(run)}.",
        fix=fix,
        source=_OPTIMIZERS,
    )


def _optimizers_train_another(run: RunAnalysis) -> bool:
    """Whether optimizers step and no weight that they have ever had a gradient."""
    norms = run.recorded.parameter_gradient_norm
    return bool(np.isfinite(run.recorded.update_norm).any() and not np.isfinite(norms).any() and not np.isinf(norms).any())


def _in_no_grad(run: RunAnalysis) -> Finding | None:
    """Parameters that an optimizer has, of modules that run without gradient inside every forward that trains."""
    recorded = run.recorded
    parts = [gap.subject for gap in recorded.gaps if "without gradient inside forwards" in gap.reason]
    steps = np.isfinite(recorded.weight_norm).sum(axis=0)
    reached = np.isfinite(recorded.parameter_gradient_norm).any(axis=0) | np.isinf(recorded.parameter_gradient_norm).any(axis=0)
    cut = [
        parameter
        for index, parameter in enumerate(recorded.parameters)
        if steps[index] >= thresholds.DEAD_STEPS
        and not reached[index]
        and any(parameter.layer == part or parameter.layer.startswith(f"{part}.") for part in parts)
    ]
    if not cut or not reached.any():
        return None
    names = tuple(dict.fromkeys(parameter.layer for parameter in cut))
    count = float(sum(parameter.size for parameter in cut))
    return Finding(
        id="frozen-parameters",
        severity="error" if run.is_stuck else "warning",
        confidence=0.9,
        layers=names[:3],
        step=run.step(run.first_row),
        evidence=(Evidence("parameters that an optimizer has and no gradient reached", count, 0.0),),
        cause=f"A part of the network is not trained: {first_two(names)} run inside "
        f"`torch.no_grad()`, although an optimizer has their {number(count)} parameters; {loss_summary(run)}.",
        fix="Take the call of that part out of `torch.no_grad()`; where it is checkpointed, pass `use_reentrant=False`, as a reentrant one "
        "trains nothing whose input requires no gradient; where it is to stay as it is, leave it out of the optimizer.",
        source=_OPTIMIZERS,
    )


def _at_rate_zero(run: RunAnalysis) -> Finding | None:
    """Parameters whose group has a learning rate of zero from the first step to the last, while other groups have one.

    In a run that learns it may be meant, as another way to keep a backbone.
    """
    recorded, rates = run.recorded, run.recorded.learning_rate
    known = np.isfinite(rates).sum(axis=0) >= thresholds.DEAD_STEPS
    highest = np.fmax.reduce(rates, axis=0, initial=0.0)
    still = [i for i, one in enumerate(recorded.parameters) if one.group >= 0 and known[one.group] and highest[one.group] == 0]
    with_gradient = [i for i in still if (recorded.parameter_gradient_norm[:, i] > 0).any()]
    if not with_gradient or not (highest > 0).any():
        return None
    names = tuple(dict.fromkeys(recorded.parameters[i].layer for i in with_gradient))
    count = float(sum(recorded.parameters[i].size for i in with_gradient))
    return Finding(
        id="frozen-parameters",
        severity="warning" if run.underperforms else "info",
        confidence=0.9,
        layers=names[:3],
        step=run.step(run.first_row),
        evidence=(Evidence("parameters with a gradient and a learning rate of zero", count, 0.0),),
        cause=f"A part of the network is not trained: the learning rate of {first_two(names)}, {number(count)} parameters with "
        f"gradients, is zero at every step; "
        f"{loss_summary(run)}.",
        fix="Give that parameter group a rate; where it is to stay as it is, leave it out of the optimizer.",
        source=_OPTIMIZERS,
    )


def _kept(run: RunAnalysis, layers: NDArray[np.int64], frozen: NDArray[np.float64]) -> Finding | None:
    layers = _of_trained_models(run, layers)
    if not layers.size:
        return None
    count = float(np.nansum(frozen[layers]))
    is_behind = _is_behind_trained(run, layers)
    return Finding(
        id="frozen-parameters",
        severity="warning" if (run.underperforms and not _is_table(run, layers)) or (is_behind and not run.has_come_down) else "info",
        confidence=0.7 if is_behind else 0.6,
        layers=tuple(run.name(layer) for layer in layers[:3]),
        step=run.step(run.first_row),
        evidence=(Evidence("parameters that require no gradient", count, 0.0),),
        cause=f"A part of the network is frozen{', although layers before it train' if is_behind else ''}: the {number(count)} "
        f"parameters of {_names(run, layers)} require no gradient; "
        f"{loss_summary(run)}.",
        fix="Where that is not meant, set `requires_grad_(True)` before the optimizer is built.",
        source=_OPTIMIZERS,
    )


def _is_table(run: RunAnalysis, layers: NDArray[np.int64]) -> bool:
    """Whether all that is kept are embeddings that give the same for every sample, and others are trained.

    Positions come from such a table, which is meant to stay. One that differs between samples holds what the data are made of.
    """
    trained, kept = _trained(run), {module_of(run.name(layer)) for layer in layers}
    embeddings = {module_of(layer.name) for layer in run.recorded.layers if layer.kind == "embedding"}
    differing = run.recorded.activation.between_energy[np.ix_(run.measured_rows, layers)]
    return kept <= embeddings and bool(embeddings & trained) and not (differing > 0).any()


def _copied(run: RunAnalysis, layers: NDArray[np.int64], copied: NDArray[np.float64]) -> Finding | None:
    if not layers.size:
        return None
    count = float(copied.sum())
    return Finding(
        id="frozen-parameters",
        severity="info",
        confidence=0.6,
        layers=tuple(run.name(layer) for layer in layers[:3]),
        step=run.step(run.first_row),
        evidence=(Evidence("parameters that require a gradient and are in no optimizer", count, 0.0),),
        cause=f"No optimizer has the {number(count)} parameters of {_names(run, layers)}, of a network made like one that is trained; "
        f"{loss_summary(run)}.",
        fix="As it should be for a target network or a teacher that is given its weights (call it inside `torch.no_grad()`); a second "
        "network that is to be trained belongs into an optimizer.",
        source=_OPTIMIZERS,
    )


def _of_trained_models(run: RunAnalysis, layers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some layers whose model has a parameter that an optimizer has: a teacher, or a network that only compares, has none."""
    trained = _trained(run)
    inside = tuple(f"{name}." for name in trained)
    models = {layer.model for layer in run.recorded.layers if module_of(layer.name) in trained or layer.name.startswith(inside)}
    return layers[[run.recorded.layers[layer].model in models for layer in layers]]


def _is_behind_trained(run: RunAnalysis, layers: NDArray[np.int64]) -> bool:
    """Whether in some model all that is kept receives what trained layers of that model make.

    A backbone comes first, and so does the first layer that adapters are put beside: a gradient goes to the output of a kept layer only
    where its input depends on trained weights. Adapters are known by their names, too, or by the kept layer that they hold inside.
    """
    recorded, trained = run.recorded, _trained(run)
    if any(word in name.lower() for name in trained for word in _ADAPTERS):
        return False
    gradient = recorded.activation_gradient.rms
    for model in {recorded.layers[layer].model for layer in layers}:
        here = [layer for layer, one in enumerate(recorded.layers) if one.model == model]
        before = [recorded.layers[layer].depth for layer in here if module_of(recorded.layers[layer].name) in trained]
        modules = {module_of(run.name(layer)) for layer in layers}
        kept = [layer for layer in here if recorded.layers[layer].role != "input" and module_of(run.name(layer)) in modules]
        if not before or min(before) > min(recorded.layers[layer].depth for layer in kept) or np.isnan(gradient[:, kept]).all(axis=0).any():
            continue
        if any(recorded.layers[layer].kind in TRANSFORMING and not _is_held(run, layer, trained) for layer in kept):
            return True
    return False


def _is_held(run: RunAnalysis, layer: int, trained: set[str]) -> bool:
    """Whether a layer is the only one with weights directly inside a module that trains weights of its own, as an adapter's base is."""
    around = module_of(run.name(layer)).rpartition(".")[0]
    inside = {module_of(one.name) for one in run.recorded.layers if one.kind in TRANSFORMING and one.name.startswith(f"{around}.")}
    return around in trained and len(inside) == 1


def _trained(run: RunAnalysis) -> set[str]:
    """Modules with a parameter that an optimizer has; "" where it is a model's own."""
    return {parameter.layer for parameter in run.recorded.parameters if parameter.group >= 0}


def _names(run: RunAnalysis, layers: NDArray[np.int64]) -> str:
    shown, more = [run.place(layer) for layer in layers[:2]], layers.size - 2
    return f"{', '.join(shown)} and {more} more layer{'s' * (more > 1)}" if more > 0 else " and ".join(shown)
