"""The verdict: all causes asked, the findings ranked, consequences behind what they follow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bnprobe.analyse.successive import trainings
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import (
    activations,
    arithmetic,
    attention,
    batch_norm,
    clipping,
    data,
    divergence,
    experts,
    gradients,
    half_precision,
    health,
    initialisation,
    loop,
    loss,
    loss_form,
    optimisation,
    targets,
    unexplained,
    units,
)
from bnprobe.diagnose.calibration import calibrated
from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.finding import Finding
from bnprobe.diagnose.outcome import Outcome, outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.text import verdict_line
from bnprobe.diagnose.wording import percent
from bnprobe.store.reader import Run

__all__ = ["CAUSES", "diagnose", "verdict_line"]

#: Every cause: one function of an analysed run each. Where two showed at the same step, the one that stands first here is the
#: cause: what is wrong with the structure comes before what the optimizer then does.
CAUSES: dict[str, Callable[[RunAnalysis], Finding | None]] = {
    "no-optimizer-step": loop.no_optimizer_step,
    "missing-zero-grad": loop.missing_zero_grad,
    "eval-mode-training": loop.eval_mode_training,
    "gradients-cleared": loop.gradients_cleared,
    "detached-loss": loss_form.detached_loss,
    "frozen-parameters": loop.frozen_parameters,
    "broadcast-loss": loss_form.broadcast_loss,
    "probabilities-for-logarithms": loss_form.probabilities_for_logarithms,
    "targets-out-of-range": targets.targets_out_of_range,
    "one-class-softmax": loss_form.one_class_softmax,
    "softmax-over-batch": loss_form.softmax_over_batch,
    "mixed-samples": loss_form.mixed_samples,
    "rectified-logits": loss_form.rectified_logits,
    "flat-second-derivative": loss_form.flat_second_derivative,
    "unshuffled-data": targets.unshuffled_data,
    "clipped-before-unscaling": clipping.clipped_before_unscaling,
    "lost-updates": half_precision.lost_updates,
    "double-softmax": loss.double_softmax,
    "symmetric-initialisation": initialisation.symmetric_initialisation,
    "half-precision-overflow": half_precision.half_precision_overflow,
    "numerical-fault": arithmetic.numerical_fault,
    "batch-norm-reused": batch_norm.batch_norm_reused,
    "batch-norm-small-batch": batch_norm.batch_norm_small_batch,
    "batch-norm-train-eval-gap": batch_norm.batch_norm_train_eval_gap,
    "unscaled-input": data.unscaled_input,
    "dropout-too-strong": units.dropout_too_strong,
    "unscaled-targets": targets.unscaled_targets,
    "saturated-attention": attention.saturated_attention,
    "idle-experts": experts.idle_experts,
    "dead-units": units.dead_units,
    "exploding-activations": activations.exploding_activations,
    "saturated-units": units.saturated_units,
    "unscaled-outputs": targets.unscaled_outputs,
    "exploding-gradients": gradients.exploding_gradients,
    "vanishing-gradients": gradients.vanishing_gradients,
    "clipping-too-tight": clipping.clipping_too_tight,
    "learning-rate-too-low": optimisation.learning_rate_too_low,
    "weight-decay-too-strong": optimisation.weight_decay_too_strong,
    "mean-shift": activations.mean_shift,
    "learning-rate-too-high": divergence.learning_rate_too_high,
    "loss-spike": loss.loss_spike,
}
#: Asked in this order when no cause was found.
FALLBACKS: tuple[Callable[[RunAnalysis], Finding | None], ...] = (
    unexplained.unexplained_divergence,
    unexplained.rising_loss,
    unexplained.stuck,
)

_OF_STEP_SIZE = ("exploding-activations", "exploding-gradients", "mean-shift", "dead-units")
#: What a loss that asks for the wrong thing brings about: nothing is learned, or the loss leaps as it pleases.
_OF_LOSS = (*_OF_STEP_SIZE, "vanishing-gradients", "learning-rate-too-low", "learning-rate-too-high", "saturated-units", "loss-spike")
#: What a cause can bring about: a finding on the right follows from one on the left that showed before it.
CONSEQUENCES: dict[str, tuple[str, ...]] = {
    "missing-zero-grad": (*_OF_STEP_SIZE, "learning-rate-too-high", "numerical-fault", "loss-spike", "batch-norm-train-eval-gap"),
    "eval-mode-training": (*_OF_STEP_SIZE, "learning-rate-too-high", "numerical-fault", "loss-spike"),
    "frozen-parameters": ("vanishing-gradients", "learning-rate-too-low", "mean-shift", "dead-units", "learning-rate-too-high"),
    "double-softmax": ("vanishing-gradients", "learning-rate-too-low", "mean-shift", "dead-units"),
    "broadcast-loss": _OF_LOSS,
    "one-class-softmax": _OF_LOSS,
    "softmax-over-batch": _OF_LOSS,
    "mixed-samples": _OF_LOSS,
    "probabilities-for-logarithms": _OF_LOSS,
    "targets-out-of-range": _OF_LOSS,
    "dropout-too-strong": ("learning-rate-too-low", "mean-shift"),
    "rectified-logits": _OF_LOSS,
    "detached-loss": ("frozen-parameters", *_OF_LOSS),
    "gradients-cleared": ("frozen-parameters", *_OF_LOSS),
    "flat-second-derivative": _OF_LOSS,
    "unshuffled-data": ("batch-norm-train-eval-gap", *_OF_LOSS),
    "unscaled-targets": _OF_LOSS,
    "unscaled-outputs": ("weight-decay-too-strong", "learning-rate-too-low", "learning-rate-too-high", "loss-spike"),
    "saturated-attention": ("vanishing-gradients", "learning-rate-too-low", "mean-shift", "learning-rate-too-high", "loss-spike"),
    "clipped-before-unscaling": ("learning-rate-too-low", "clipping-too-tight"),
    "clipping-too-tight": ("learning-rate-too-low",),
    "lost-updates": ("learning-rate-too-low", "vanishing-gradients"),
    "symmetric-initialisation": (
        "exploding-activations",
        "vanishing-gradients",
        "learning-rate-too-low",
        "mean-shift",
        "dead-units",
        "learning-rate-too-high",
    ),
    "batch-norm-reused": ("batch-norm-train-eval-gap",),
    "batch-norm-small-batch": (
        "batch-norm-train-eval-gap",
        "learning-rate-too-high",
        "mean-shift",
        "loss-spike",
    ),
    "half-precision-overflow": (*_OF_STEP_SIZE, "saturated-units", "learning-rate-too-high"),
    "numerical-fault": ("exploding-activations", "exploding-gradients", "mean-shift", "learning-rate-too-high"),
    "unscaled-input": (
        *_OF_STEP_SIZE,
        "learning-rate-too-high",
        "learning-rate-too-low",
        "saturated-units",
        "vanishing-gradients",
        "half-precision-overflow",
        "weight-decay-too-strong",
        "symmetric-initialisation",
        "loss-spike",
    ),
    "exploding-activations": (
        "exploding-gradients",
        "mean-shift",
        "saturated-units",
        "dead-units",
        "learning-rate-too-high",
        "half-precision-overflow",
        "loss-spike",
    ),
    "exploding-gradients": (
        "exploding-activations",
        "mean-shift",
        "saturated-units",
        "dead-units",
        "learning-rate-too-high",
        "loss-spike",
    ),
    "weight-decay-too-strong": (*_OF_STEP_SIZE, "learning-rate-too-high", "vanishing-gradients"),
    "saturated-units": ("exploding-gradients", "vanishing-gradients", "learning-rate-too-low", "mean-shift"),
    "learning-rate-too-low": ("vanishing-gradients", "mean-shift"),
    "vanishing-gradients": ("learning-rate-too-low", "mean-shift", "dead-units"),
    "mean-shift": (
        "exploding-activations",
        "vanishing-gradients",
        "dead-units",
        "learning-rate-too-high",
        "loss-spike",
    ),
    "dead-units": ("mean-shift", "vanishing-gradients", "learning-rate-too-low"),
    "learning-rate-too-high": (
        *_OF_STEP_SIZE,
        "vanishing-gradients",
        "saturated-attention",
        "saturated-units",
        "half-precision-overflow",
        "batch-norm-train-eval-gap",
        "loss-spike",
    ),
}
#: Causes whose warning is enough to explain a run that failed; the others have to be an error by themselves.
EXPLAINING = (
    "exploding-activations",
    "exploding-gradients",
    "vanishing-gradients",
    "saturated-units",
    "dead-units",
    "learning-rate-too-high",
    "loss-spike",
)
#: What weights that were made larger from outside bring about.
OF_GROWN_WEIGHTS = (*EXPLAINING, "mean-shift", "half-precision-overflow", "numerical-fault")
#: Confidence in a cause that less evidence speaks for than is asked for, at most.
CANDIDATE_CONFIDENCE = 0.3
#: By how much thresholds are relaxed, one after the other, to see which causes come nearest; behind a healthy verdict not altogether.
RELAXATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
HEALTHY_RELAXATIONS = RELAXATIONS[1:-1]
#: Causes that no looser threshold rules out: one of these that is not found with the loosest is not with tighter ones. Others may be, as
#: they speak of the first row or layer that is beyond a threshold; these two are the ones that take long on deep networks.
MONOTONE = ("learning-rate-too-low", "weight-decay-too-strong")
#: Candidates behind a healthy verdict, at most.
NEAREST = 2
_SEVERITY = {"error": 0, "warning": 1, "info": 2}


def diagnose(run: Run) -> Diagnosis:
    """Name what the recording shows, first the verdict, then other causes, then what follows from them, then candidates.

    Args:
        run: a recording, complete or not.

    Returns:
        The analysed run with at least one finding; the first of a healthy run is ``healthy``, others of it are for information. Of
        trainings that follow each other in one recording, the first of those with the gravest verdict is told, and the verdict of each
        other one behind its causes.
    """
    parts = trainings(run)
    if len(parts) == 1 and parts[0] is run:
        return _of_one(run)
    each = [_of_part(part, place, len(parts)) for place, part in enumerate(parts, 1)]
    gravest = min(each, key=lambda one: (_SEVERITY[one.verdict.severity], one.outcome.word == "learns"))
    others = [one.verdict for one in each if one is not gravest]
    told = sum(not finding.is_candidate for finding in gravest)
    between = loss.leap_at_a_takeover(RunAnalysis(run))  # which is in none of them by itself
    leap = [calibrated(between)] if between is not None else []
    is_first = gravest.verdict.severity == "info"
    findings = (*leap, *gravest[:told], *others) if is_first else (*gravest[:told], *others, *leap)
    return replace(gravest, findings=(*findings, *gravest[told:]), recording=RunView.of(run))


def _of_one(run: Run) -> Diagnosis:
    analysis = RunAnalysis(run)
    became = outcome(analysis)
    return Diagnosis(analysis, became, tuple(map(calibrated, _findings(analysis, became))))


def _of_part(part: Run, place: int, count: int) -> Diagnosis:
    """The diagnosis of one of several trainings: all that is said of it says of which."""
    found = _of_one(part)
    which = f"training {place} of {count}" if count > 1 else "the one training that is long enough"
    span = f"{which}, steps {int(part['step'][0])} to {int(part['step'][-1])}"
    became = replace(found.outcome, reason=f"in {span}, {found.outcome.reason}")
    findings = tuple(replace(finding, cause=f"In {span}: {finding.cause}") for finding in found)
    return replace(found, outcome=became, findings=findings, where=which)


def _findings(run: RunAnalysis, became: Outcome) -> list[Finding]:
    if empty := loop.no_optimizer_step(run) or health.nothing_recorded(run):
        return [empty]
    found = [finding for cause in CAUSES.values() if (finding := cause(run)) is not None]
    if (grown := unexplained.grown_from_outside(run)) is not None:
        found = [grown, *(_of_grown_weights(finding, grown) for finding in found)]
    if became.is_failure or run.has_relapsed:
        found = _held_responsible(found, run)
    elif run.has_fitted:
        found = list(map(_kept_nothing_back, found))
    if not any(finding.severity == "error" for finding in found):
        remaining = [finding for fallback in FALLBACKS if (finding := fallback(run)) is not None][:1]
        is_explained = any(finding.severity == "warning" for finding in found)
        found += [finding for finding in remaining if finding.severity == "error" or not is_explained]
    if all(finding.severity == "info" for finding in found):
        return [health.no_cause(run, became), *found, *_candidates(run, found, HEALTHY_RELAXATIONS)[:NEAREST]]
    linked = _link(found, run)
    if became.word == "learns":
        linked = list(map(_told_once, linked))
    return _rank(linked) + _candidates(run.suspected(), found, RELAXATIONS)


def _of_grown_weights(finding: Finding, grown: Finding) -> Finding:
    """The finding of a run whose weights were made larger from outside: what large weights bring about follows from that."""
    is_later = finding.step is not None and grown.step is not None and finding.step >= grown.step
    return replace(finding, follows_from=(grown.id,)) if is_later and finding.id in OF_GROWN_WEIGHTS else finding


def _told_once(finding: Finding) -> Finding:
    """The finding of a run that learns: what follows from a cause that is warned of is told beside it, and is no warning of its own."""
    return replace(finding, severity="info") if finding.follows_from and finding.severity == "warning" else finding


def _kept_nothing_back(finding: Finding) -> Finding:
    """The finding of a run that learned all there is: what explains a failure is no fault here, but for a loss that leapt."""
    is_harmless = finding.severity == "warning" and finding.id in EXPLAINING and finding.id != "loss-spike"
    return replace(finding, severity="info") if is_harmless else finding


def _held_responsible(found: list[Finding], run: RunAnalysis) -> list[Finding]:
    """Return the findings of a run that failed: unless one is an error, the first cause that explains it is, and no longer a warning."""
    if any(finding.severity == "error" for finding in found):
        return found
    warnings = [one for one in _rank(_link(found, run)) if one.severity == "warning" and one.id in EXPLAINING and not one.follows_from]
    return [replace(one, severity="error") if warnings and one.id == warnings[0].id else one for one in found]


def _candidates(run: RunAnalysis, found: list[Finding], relaxations: tuple[float, ...]) -> list[Finding]:
    """Further causes for which there is less evidence: for information, those that come nearest to being named first."""
    known, candidates = {finding.id for finding in found}, dict[str, Finding]()
    suspected = [name for name in CAUSES if name not in known and _may_be_near(run, name, relaxations[-1])]
    for relaxation in relaxations:
        relaxed = run.relaxed(relaxation)
        others = [name for name in suspected if name not in candidates]
        near = {name: finding for name in others if (finding := CAUSES[name](relaxed)) is not None}
        candidates |= {name: _less_certain(finding, relaxation) for name, finding in near.items()}
    return list(candidates.values())


def _may_be_near(run: RunAnalysis, name: str, loosest: float) -> bool:
    """Whether a cause can be found with thresholds relaxed by any share up to the loosest, as far as that one answer tells."""
    relaxed = run.relaxed(loosest)
    return CAUSES[name](relaxed) is not None or (relaxed.asked and name not in MONOTONE)


def _less_certain(finding: Finding, relaxation: float) -> Finding:
    how = f"Less certain, with thresholds relaxed by {percent(relaxation)}" if relaxation else "Less certain"
    confidence = round(min(finding.confidence, CANDIDATE_CONFIDENCE * (1 - relaxation / 2)), 2)
    return replace(finding, severity="info", confidence=confidence, cause=f"{how}: {finding.cause}", is_candidate=True)


def _link(found: list[Finding], run: RunAnalysis) -> list[Finding]:
    """Say of each finding from which earlier one it follows: in the order in which they showed, each explains what it can bring about.

    What is told for information, and may be meant, explains no fault.
    """
    first = run.step(run.first_row)
    course = sorted(found, key=lambda one: (one.step if one.step is not None else -1, _place(one, first)))
    linked: list[Finding] = []
    for finding in course:
        roots = (root for root in linked if not root.follows_from and (root.severity != "info" or finding.severity == "info"))
        origin = next((root for root in roots if finding.id in CONSEQUENCES.get(root.id, ())), None)
        linked.append(replace(finding, follows_from=(origin.id,)) if origin is not None else finding)
    return linked


def _place(finding: Finding, first: int | None) -> float:
    """Which of two causes at the same step comes first. What a forward shows at the first step no update has done; later ones may have."""
    order = {name: place for place, name in enumerate(CAUSES)}
    if finding.id == "learning-rate-too-high" and finding.step != first:
        return order["mean-shift"] - 0.5
    if finding.id == "dead-units" and finding.step != first:
        return order["mean-shift"] + 0.5
    return order.get(finding.id, len(order))


def _rank(linked: list[Finding]) -> list[Finding]:
    """Causes first, the gravest and among those the most certain first; then what follows from them."""
    return sorted(linked, key=lambda one: (bool(one.follows_from), _SEVERITY[one.severity], -one.confidence))
