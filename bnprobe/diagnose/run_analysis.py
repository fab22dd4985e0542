"""A run analysed: its quantities, and what they say of how the training went, each computed once."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from bnprobe.analyse import robust, spikes, stability, sums
from bnprobe.analyse.layers import heads, separate_networks
from bnprobe.analyse.spikes import Spike
from bnprobe.analyse.stability import LossCourse
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Severity
from bnprobe.diagnose.quantities import Array, Quantities
from bnprobe.store.reader import Run


class RunAnalysis(Quantities):
    """An analysed run: how its training went.

    Attributes:
        is_suspected: whether something is known to be wrong with it, so that as little evidence is asked for as in a run that
            underperforms.
        relaxation: by how much thresholds are relaxed, 0 to 1.
        asked: whether any of them was asked for; what was judged without is the same however far they are relaxed.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.is_suspected = False
        self.relaxation = 0.0
        self.asked = False

    def suspected(self) -> RunAnalysis:
        """The same run, known to be wrong somewhere; what was computed of it already is kept."""
        other = copy(self)
        other.is_suspected = True
        return other

    def relaxed(self, relaxation: float) -> RunAnalysis:
        """The same run with thresholds relaxed; what was computed of it already is kept."""
        other = copy(self)
        other.relaxation = relaxation
        other.asked = False
        other.__dict__.pop("spikes", None)  # these depend on their limits
        return other

    def threshold(self, limit: thresholds.Threshold) -> float:
        """A threshold as it holds for this run."""
        self.asked = True
        return limit.relaxed(self.relaxation)

    @cached_property
    def is_stuck(self) -> bool:
        """Whether a run that did not diverge has gone nowhere: it sits at chance level, has risen, or never moved."""
        course = self._full_course
        if course is None or self.loss_may_stand:
            return False
        # One that leapt to ten times its lowest level and stands there may be below its start: it goes nowhere all the same.
        stays_down = self.has_come_down and course.late_trough <= thresholds.RELAPSED_TIMES * course.trough
        return self.is_at_chance or self.has_risen or not (course.moved or course.moved_at_once or course.is_falling or stays_down)

    @property
    def has_come_down(self) -> bool:
        """Whether the loss has come so far down, from its start and from chance level, that no test for a trend is needed."""
        course = self._full_course
        if course is None or self.has_relapsed or self.stays_above_its_first or not course.late < thresholds.FALLEN_SHARE * course.start:
            return False
        return self.classes < 2 or not self.is_at_chance

    @property
    def has_fitted(self) -> bool:
        """Whether the loss has come down by decades: nothing kept the weights from what they were to learn.

        From its first value, too: one that the first steps threw up has far to fall.
        """
        course = self.course
        return (
            course is not None and self.divergence is None and 0 < course.late < thresholds.FITTED_SHARE * min(course.first, course.start)
        )

    @cached_property
    def _full_course(self) -> LossCourse | None:
        """The course of the loss, of a run that did not diverge and is long enough for a statement about it."""
        course = self.course
        return course if self.divergence is None and course is not None and course.steps >= thresholds.COURSE_STEPS else None

    @cached_property
    def loss_may_stand(self) -> str:
        """Why the loss may stand or rise although the training is right, as a clause; empty where it says by itself how the training goes.

        A policy's or a critic's loss and a log-likelihood have no lower bound at zero; of adversaries each undoes what the other gains; a
        sum over an episode grows with its length; and a network that is also evaluated in every step may chase targets that it, or a copy
        of it, makes.
        """
        if self.is_signed:
            return "the loss takes negative values, so that it is no distance from a goal"
        optimizers = {group.partition("[")[0] for group in self.recorded.groups}
        if len(optimizers) > 1:
            return f"{len(optimizers)} optimizers train parts of it, whose losses may work against each other"
        if self.separate_networks > 1:
            return f"{self.separate_networks} separate networks share it, each with a term of its own"
        if self.recorded.once(sums.sums_over_uneven_steps):
            return "it goes with the number of samples behind it, which differs from step to step, as of a sum over an episode"
        if self.is_evaluated_in_most_steps and not self.is_at_chance:
            return f"the network is also evaluated without gradients {self._when_evaluated}, so that its targets may move with it"
        return ""

    @property
    def _when_evaluated(self) -> str:
        """At which steps evaluations were counted: where the steps looked at are a fixed distance apart, others may have none."""
        looked = np.diff(self.recorded.step[self.recorded.evaluations >= 0])
        apart = int(np.gcd.reduce(looked)) if looked.size else 1
        if apart < 2:
            return "in most steps"
        return f"in most of the steps looked at, which are multiples of {apart} apart (record with `--every 1` to see the others)"

    @property
    def is_signed(self) -> bool:
        """Whether the loss takes negative values."""
        loss = self.recorded.loss
        return bool((loss[np.isfinite(loss)] < 0).any())

    @property
    def is_evaluated_in_most_steps(self) -> bool:
        """Whether most steps call the network without gradients as well, as for targets that it makes itself."""
        evaluations = self.recorded.evaluations
        return bool((known := evaluations[evaluations >= 0]).size and np.median(known) >= 1)

    @cached_property
    def separate_networks(self) -> int:
        """How many networks that take in the same data the model of the profile is made of, an actor and a critic say."""
        return max(1, len(self._networks))

    @cached_property
    def _networks(self) -> list[list[int]]:
        """Their linear layers."""
        layers = self.recorded.layers
        weighted = [i for i, layer in enumerate(layers) if layer.kind == "linear" and (layer.role, layer.call) == ("output", 0)]
        model = layers[self.profile[0]].model if self.profile.size else 0
        in_order = sorted((i for i in weighted if layers[i].model == model), key=lambda i: layers[i].depth)
        return separate_networks(self.recorded, model, in_order) if in_order else []

    @cached_property
    def has_risen(self) -> bool:
        """Whether the loss of a run that did not diverge ended above where it began, or lost again most of what it had gained."""
        return self._full_course is not None and not self.loss_may_stand and (self.ends_above_its_start or self.has_relapsed)

    @property
    def ends_above_its_start(self) -> bool:
        """Whether the loss of a run that did not diverge ended above where it began, beyond its noise."""
        course = self._full_course
        if course is None or not course.start > 0:
            return False
        if self.stays_above_its_first and not course.is_falling and (self._is_worse_than_guessing or self._moved_too_far_at_first):
            return True
        return course.late - course.start > max(stability.MOVED_SHARE * course.start, thresholds.BEYOND_NOISE * course.uncertainty)

    @property
    def has_relapsed(self) -> bool:
        """Whether the loss stayed at ten times its lowest level and more to the end, and half way up, in decades, to where it began.

        A loss that leaps and comes down again is learning something new, as where classes are added.
        """
        course = self._full_course
        if course is None or self.loss_may_stand or not 0 < course.trough < course.late_trough:
            return False
        if course.late < course.peak_after / 2:
            return False
        lost = course.late_trough / course.trough
        return bool(lost >= thresholds.RELAPSED_TIMES and lost**2 >= course.start / course.trough)

    @property
    def is_too_noisy(self) -> bool:
        """Whether the losses of single batches differ so much that a fall worth the name would not show."""
        course = self._full_course
        return course is not None and thresholds.BEYOND_NOISE * course.uncertainty > thresholds.VISIBLE_FALL * abs(course.start)

    @cached_property
    def output_has_collapsed(self) -> bool:
        """Whether the last layer, and all that ends beside it, give nearly the same output for all samples, and that is not to change."""
        course = self._full_course
        return course is not None and not course.is_falling and self._ends_have_collapsed(thresholds.OUTPUT_GROWTH)

    @cached_property
    def gives_one_answer(self) -> bool:
        """The same; or the loss still falls, as the one answer to all becomes a better one, but nothing is left of what differed."""
        return self.output_has_collapsed or (self._full_course is not None and self._ends_have_collapsed(thresholds.NOTHING_LEFT))

    def _ends_have_collapsed(self, left: float) -> bool:
        """Whether all ends of the network give nearly the same output for all samples, with so much left of the energy that differed."""
        layer = self.last_layer
        if layer is None or not self.has_batches:
            return False
        ends = [*heads(self.recorded, layer), *(network[-1] for network in self._networks[:-1])]
        return all(self._has_collapsed(end, left) for end in ends)

    def _has_collapsed(self, layer: int, left: float) -> bool:
        energy, share = self.energy_of_samples(layer)
        if share.size < thresholds.DEAD_STEPS:
            return False
        has_grown = robust.median(_late(energy)) > left * energy[0]
        return bool(robust.median(_late(share)) < thresholds.COLLAPSED_SHARE and not has_grown)

    @property
    def is_collapsed(self) -> bool:
        """Whether that is all that a run has come to, the loss having lost little of its first value."""
        course = self._full_course
        if course is None or self.loss_may_stand or not course.late > thresholds.FALLEN_SHARE * course.start:
            return False
        return self.output_has_collapsed

    @property
    def ignores_its_input(self) -> bool:
        """Whether the output has collapsed, however far the loss fell; a squared error that beats every constant shows that it has not."""
        return self.gives_one_answer and (self.constant_share is None or self.is_no_better_than_a_constant)

    @cached_property
    def share_that_fell(self) -> tuple[int, float, float] | None:
        """Of an embedding that comes to be one point: the layer, and the share of its energy that differs between samples, first and late.

        So it is where a loss that was never seen to compare with a target, but compares outputs with each other, has come to its floor (all
        distances zero, or all cosines one), while all that ends beside the last layer came to be alike. None where it is not so.
        """
        recorded, course, layer = self.recorded, self._full_course, self.last_layer
        targets = (recorded.target_smallest, recorded.target_class, recorded.target_variance)
        if course is None or layer is None or any(np.isfinite(known.astype(float)).any() for known in targets):
            return None
        lowest = float(np.nanmin(recorded.loss))
        is_at_zero = lowest >= 0 and course.late < thresholds.FLOOR_SHARE * course.start
        is_at_one = -1 - thresholds.ROUNDING <= lowest < 0 and course.late < thresholds.FLOOR_SHARE - 1
        if not (is_at_zero or is_at_one) or not self.has_batches:
            return None
        ends = [*heads(recorded, layer), *(network[-1] for network in self._networks[:-1])]
        shares = {end: share for end in ends if (share := self.energy_of_samples(end)[1]).size >= thresholds.CALM_STEPS}
        fell = {end: (float(share[0]), float(robust.median(_late(share)))) for end, share in shares.items()}
        if not fell or any(late >= thresholds.ALIKE_TIMES * first for first, late in fell.values()):
            return None
        alike = min(fell, key=lambda end: fell[end][1])
        return alike, *fell[alike]

    @cached_property
    def only_target(self) -> float | None:
        """The number or class that every target of a (binary) cross-entropy was while outputs came to be alike; None where there is none.

        There is then nothing to learn but that one answer. Where the loss is another network's judgement, or the right one among candidates
        stands first (contrastive and ranking losses), targets are one number too, and outputs keep differing by sample.
        """
        recorded = self.recorded
        low, high = recorded.target_smallest.astype(float), recorded.target_largest.astype(float)
        count, classes = recorded.target_classes.astype(float), recorded.target_class.astype(float)
        binary, labelled = np.isfinite(low) & np.isfinite(high), np.isfinite(classes) & np.isfinite(count)
        seen = np.concatenate([low[binary], high[binary], classes[labelled]])
        rows = max(int(binary.sum()), int(labelled.sum()))
        if self.loss_may_stand or rows < thresholds.CALM_STEPS or (count[labelled].round() > 1).any() or np.ptp(seen) > 0:
            return None
        share = self.energy_of_samples(self.last_layer)[1] if self.last_layer is not None else np.zeros(0)
        is_alike = share.size >= thresholds.CALM_STEPS and robust.median(_late(share)) < thresholds.ALIKE_TIMES * share[0]
        return float(seen[0]) if is_alike else None

    @cached_property
    def is_at_chance(self) -> bool:
        """Whether the loss lies where guessing among the outputs of the last layer would put it, or a little above, and no longer falls."""
        course, classes = self._full_course, self.classes
        if course is None or classes < 2 or len({group.partition("[")[0] for group in self.recorded.groups}) > 1:
            return False
        if self._compares_numbers and classes > 2:
            return False
        chance = stability.chance_level(classes)
        return 1 - thresholds.BELOW_CHANCE < course.late / chance < 1 + thresholds.ABOVE_CHANCE and not course.is_falling

    @property
    def _compares_numbers(self) -> bool:
        """Whether the loss was seen to compare outputs one by one, with numbers or with yes and no, and never among classes.

        Guessing among the outputs is then nothing that the loss could be compared with. A log-softmax in the loss is of classes, as with
        soft labels, whatever term stands beside it; and so is perhaps another softmax, where squared errors are too small to be all of it.
        """
        recorded, course = self.recorded, self.course
        numbers = np.isfinite(recorded.target_smallest) | np.isfinite(recorded.target_variance)
        if not numbers.any() or np.isfinite(recorded.target_classes).any() or (recorded.loss_of_one_class >= 0).any():
            return False
        error = recorded.prediction_error[np.isfinite(recorded.prediction_error)]
        if not error.size or course is None or not (recorded.softmax_trivial >= 0).any():
            return True
        last = float(robust.median(_late(error)))
        return bool(max(last, last**0.5) >= thresholds.EXPLAINED_SHARE * course.late)

    @cached_property
    def constant_share(self) -> float | None:
        """Late squared error over that of the best constant prediction, the variance of the targets; None where it was not measured late.

        Of a loss that may stand it says nothing: its targets move with the network. Nor beside a loss of classes: it may be a small term of
        it, as where a student or a critic is also compared with a copy of itself.
        """
        if self._full_course is None or self.loss_may_stand or np.isfinite(self.recorded.target_classes).any():
            return None
        error, variance = self.recorded.prediction_error, self.recorded.target_variance
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(variance > 0, error / variance, np.nan)
        late = np.flatnonzero(np.isfinite(share) & (self.elapsed >= self.steps_spanned // 3))
        return float(robust.median(share[late[-max(thresholds.CALM_LOSSES, late.size // 2) :]])) if late.size else None

    @property
    def is_no_better_than_a_constant(self) -> bool:
        """Whether a constant prediction would score as well as the network does in the end."""
        return self.constant_share is not None and self.constant_share >= thresholds.CONSTANT_SHARE

    @property
    def guess_share(self) -> float | None:
        """Late cross-entropy over that of guessing by the shares of the labels; None where it was not measured late."""
        return self._guess_shares[1] if self._guess_shares else None

    @cached_property
    def _guess_shares(self) -> tuple[float, ...]:
        """The same of the third quarter and of the last one.

        Means of each: labels of single batches are few. Of a loss that may stand, a critic's or an adversary's, it says nothing.
        """
        own, guess = (values.astype(float) for values in (self.recorded.cross_entropy, self.recorded.constant_cross_entropy))
        late = np.flatnonzero(np.isfinite(own) & np.isfinite(guess) & (self.elapsed >= self.steps_spanned // 2))
        if self._full_course is None or self.loss_may_stand or late.size < 2 * thresholds.CALM_LOSSES:
            return ()
        halves = np.array_split(late, 2)
        if not all(guess[half].mean() > 0 for half in halves):
            return ()
        return tuple(float(own[half].mean() / guess[half].mean()) for half in halves)

    @property
    def is_no_better_than_guessing(self) -> bool:
        """Whether guessing by the shares of the labels scores as well as a classifier does in the end, which comes no nearer any more."""
        share, before = self.guess_share, self._guess_shares[:1]
        if share is None or not share >= thresholds.GUESS_SHARE:
            return False
        return before[0] - share < 1 - thresholds.GUESS_SHARE and self._is_cross_entropy_alone

    @property
    def _is_cross_entropy_alone(self) -> bool:
        """Whether the loss is the cross-entropy that was measured, up to a factor.

        A script that weighs samples by hand, or by how hard they are as a focal loss does, asks for other answers than those that score
        best without weights: they may well score less than a guess.
        """
        own = self.recorded.cross_entropy.astype(float)
        late = np.flatnonzero((own > 0) & np.isfinite(self.recorded.loss) & (self.elapsed >= self.steps_spanned // 2))
        ratio = self.recorded.loss[late] / own[late]
        middle = robust.median(ratio)
        return bool(robust.median(np.abs(ratio - middle)) <= thresholds.SAME_LOSS * abs(middle))

    @property
    def underperforms(self) -> bool:
        """Whether the run is lost, stuck, or keeps most of its first loss: then less evidence is asked for, as something must be wrong."""
        course = self.course
        if self.is_suspected or self.has_failed or self.is_stuck:
            return True
        if self.is_collapsed:
            return True
        share = self.threshold(thresholds.UNDERPERFORMING_SHARE)
        if course is None or course.steps < thresholds.COURSE_STEPS or self.loss_may_stand:
            return False
        return course.late > share * abs(course.first)

    @property
    def could_fall_further(self) -> bool:
        """Whether the run underperforms, or its loss, by which one can tell, has not come far down: then something may hold it up."""
        course = self._full_course
        if self.underperforms or course is None or self.loss_may_stand:
            return self.underperforms
        return course.late > thresholds.STANDING_SHARE * abs(course.start)

    @property
    def has_failed(self) -> bool:
        """Whether the training failed: diverged, risen or at chance level. A loss that merely stays may have reached what can be had."""
        return self.divergence is not None or self.is_at_chance or self.has_risen

    @cached_property
    def spikes(self) -> list[Spike]:
        """Sudden rises of the loss, in order of time."""
        self.asked = True
        return spikes.spikes(self.recorded, thresholds.spike(self.relaxation))

    @cached_property
    def rose_early(self) -> bool:
        """Whether the loss, median of three, stood at well above its first value for some time in the first half of the run.

        Where batches differ by as much as their loss, the first may have been an easy one: then the median of the first few counts. A loss
        that may stand rises with what it is played against.
        """
        if self.loss_may_stand:
            return False
        loss, course = self.recorded.every_loss[1].astype(float), self.course
        loss = loss[np.isfinite(loss)]
        if loss.size < thresholds.COURSE_STEPS or not (loss > 0).all():
            return False
        smooth = robust.median(np.lib.stride_tricks.sliding_window_view(loss, 3))
        is_noisy = course is not None and course.noise > thresholds.UNEQUAL_BATCHES * course.late
        began = max(loss[0], course.start) if course is not None and is_noisy else loss[0]
        return bool(smooth[: loss.size // 2].max() > thresholds.RISEN_TIMES * began)

    @property
    def stays_above_its_first(self) -> bool:
        """Whether the loss leapt in its first steps, and has fallen since, yet its last quarter still lies above the first loss of all."""
        course = self._full_course
        if course is None or self.loss_may_stand or not self.rose_early or not course.late < thresholds.FALLEN_SHARE * course.start:
            return False
        return course.late_low > (1 + stability.MOVED_SHARE) * course.first

    @property
    def _is_worse_than_guessing(self) -> bool:
        """Whether the loss of a classifier ends clearly above chance level."""
        course = self._full_course
        return (
            course is not None and self.classes > 1 and course.late > (1 + thresholds.ABOVE_CHANCE) * stability.chance_level(self.classes)
        )

    @property
    def _moved_too_far_at_first(self) -> bool:
        """Whether the updates of the first half of the run were large: a loss that leaps without them may have been given more to do."""
        half = self.step_size[: max(1, len(self.step_size) // 2)]
        return bool(np.fmax.reduce(half, axis=None, initial=0.0) >= self.threshold(thresholds.LARGE_UPDATE_RATIO))

    @property
    def made_no_progress(self) -> bool:
        """Whether the loss went well above its first value, and for half of the run and more was no better than that."""
        return self.rose_early and self.course is not None and self.course.middle > (1 - stability.MOVED_SHARE) * self.course.first

    @property
    def has_learned(self) -> bool:
        """Whether the loss has come down from where it began, beyond what chance does to noise."""
        course = self.course
        return course is not None and course.moved and (course.first < 0 or course.late < (1 - stability.MOVED_SHARE) * course.first)

    @property
    def was_cut(self) -> bool:
        """Whether the recording ended before its script did."""
        return self.recorded.status in ("stopped", "interrupted", "running")

    @property
    def goes_on(self) -> bool:
        """Whether the training is recorded at this moment and has not failed: what is on its way has time to come."""
        return self.recorded.status == "running" and not self.has_failed

    def severity(self) -> Severity:
        """How grave a fault is that harms every training: an error where this one is lost or goes nowhere, a warning where it learns."""
        return "error" if self.has_failed or self.is_stuck else "warning"


def _late(values: Array) -> Array:
    """The last quarter of measured values, of at least some steps."""
    return values[-max(thresholds.DEAD_STEPS, values.size // 4) :]
