"""When to look: at which steps layers are measured, and at which every channel is stored.

Steps are thinned openly so that measuring stays within its budget. The first steps are always measured. After that a purse decides: it
holds what measuring may still cost, begins with a sum that is free, and every step pays its share of the budget into it. Two thirds of that
pay for steps at about equal distances. The rest, what was not needed, and the free sum in shares that become smaller as the run goes on,
make them denser, and pay for steps in a row where something happens: a loss or a gradient that rises beyond its noise, another learning
rate, another mode, an optimizer that is new. Only a training that seems about to be lost is measured on credit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bnprobe.observe.schedule.agreed_steps import channel_level, is_chosen, level_of
from bnprobe.observe.schedule.alarm import GRADIENT_LEAP, Alarm, Level
from bnprobe.observe.schedule.costs import Costs
from bnprobe.observe.schedule.turns import Turns
from bnprobe.observe.steps.modes import Modes
from bnprobe.observe.steps.open_step import GroupSettings, Number

#: The first steps are a run's own baseline and are measured whatever they cost.
BASELINE_STEPS = 10
#: Steps in a row that are measured once a number rises beyond its noise.
TROUBLE_STEPS = 20
#: Steps in a row that are measured where something changes.
CHANGE_STEPS = 5
#: A learning rate that is so many times what it was at the step before, or less than one part of so many, is another.
RATE_CHANGE = 1.5
#: Part of the purse that one change, or one rise, may cost.
PART_FOR_A_CHANGE = 0.5
#: Steps whose updates are followed further (see ``line_probing``) once trouble shows, and again whenever it gets worse.
PROBES_IN_TROUBLE = 3
#: Share of the training time that watching the gradients of unmeasured steps may take: where one look takes more, it is not at every step.
WATCH_SHARE = 0.005
#: Memory of what a look at the gradients costs, as a weight for the newest that is dearer; a cheaper one counts at once.
WATCH_MEMORY = 0.1
#: Part of the budget that measuring has in any case, however much of it the steps take that are not measured.
LEAST_PART = 0.25
#: Part of the income that steps at equal distances have, and the least of it where the purse is empty and more.
REGULAR_PART, LEAST_REGULAR_PART = 2.0 / 3.0, 1.0 / 3.0
#: Steps that are not measured after which the stride is looked at again.
STEPS_BETWEEN_STRIDES = 8
#: Seconds on credit beyond which a training that seems about to be lost is measured no more than any other.
CREDIT_SECONDS = 2.0
STRIDES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
#: A stride becomes shorter only where it has so much room to spare.
CLEAR = 1.2
#: A change of the stride is told once it is so many times what was told last, or the reverse.
TOLD = 2.0
#: Distances differ by up to so much of the stride in both directions, so that what repeats in a training is met in all its phases ...
SPREAD = 0.5
#: ... by the fractions of this number's multiples, which are spread as evenly as any.
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Schedule:
    """Decides step by step.

    What the training waited for a processor counts nothing (``quiet_time``).

    Args:
        every: measure every n-th step.
        budget: share of the training time that the recorder may take, steps that are not measured included; thins further when it is
            exceeded.
        free_seconds: measuring that may be done before the budget counts.
        agrees: whether this is one of several ranks, whose steps at equal distances are to be the same: see ``agreed_steps``.
    """

    def __init__(self, every: int, budget: float, free_seconds: float = 0.0, *, agrees: bool = False) -> None:
        #: The step with which this process began: what is said of first steps below is said of those from it on.
        self.first = 0
        # Steps since that one from which snapshots are counted: its own, and those behind which another training began.
        self._begun = [0]
        self._agrees = agrees
        self.stride = every
        self._every = self._told = every
        self._budget = budget
        self._purse = free_seconds
        self._costs = Costs()
        #: What measuring a step costs, in seconds.
        self._cost = 0.0
        self._measured = 0
        self._turns = Turns()
        self._promised = 0  # steps before this one are not measured
        self._asked, self._answer, self._last, self._gap = -1, False, -every, every
        self.watch_stride = 1
        self._watch_cost = math.inf
        self._looks = 0
        self._steps_since_look = 0
        self._loss_alarm = Alarm()
        self._gradient_alarm = Alarm(GRADIENT_LEAP)
        self._rates: dict[int, float] = {}
        self._modes: tuple[bool, bool, int] | None = None
        # The last steps that are measured in trouble, that are paid for, and whose updates are followed further.
        self._trouble_until = self._paid_until = self._probes_until = -1
        self._risen = -TROUBLE_STEPS - 1  # the last step at which a number rose

    # -- questions ----------------------------------------------------------------------------------------------------

    def is_observed(self, step: int) -> bool:
        """Whether layers are measured at a step; to be asked in order, about the last one as often as one likes."""
        step -= self.first
        if step > self._asked:
            self._pass()
        self._asked = step
        is_free = step >= self._promised and step % self._every == 0
        self._answer = is_free and (step < BASELINE_STEPS or self._is_paid_for(step) or self._is_due(step))
        return self._answer

    def promise(self, step: int, most: int) -> int:
        """Return how many steps from one on are not measured, as long as nothing happens; at most so many.

        They are not, whatever steps cost meanwhile, until the promise is kept. The step is the one that was asked about last.
        """
        step -= self.first
        if self._agrees or self._answer or step < BASELINE_STEPS or step <= max(self._paid_until, self._trouble_until):
            return 0
        distance = min(most, self._last + self._gap - step)
        self._promised = step + distance
        return max(distance, 0)

    def keep_promise(self) -> None:
        """What was promised is over: steps may be measured again."""
        self._promised = 0

    def pass_by(self, step: int, losses: Sequence[float]) -> None:
        """Take note of the losses of promised steps, the last of which is this one, in which nothing else was otherwise.

        The step after it was asked about.
        """
        for loss in losses:
            self._loss_alarm.take(loss)
        self._turns.note_again(step - self.first, len(losses))
        self._asked = step - self.first + 1
        self._steps_since_look += len(losses)

    @property
    def steps_to_look(self) -> int:
        """How many steps come before the next whose gradients are looked at."""
        return max(self.watch_stride - self._steps_since_look - 1, 0)

    def losses_without_news(self, count: int) -> tuple[float, float]:
        """Return between which losses, the first excluded, the next ones say nothing, up to so many of them."""
        return self._loss_alarm.no_news(count)

    def is_news(self, before: Mapping[int, GroupSettings], groups: Mapping[int, GroupSettings]) -> bool:
        """Whether the learning rates of a step are others than those of the one before it, or not known to be the same."""
        return before.keys() != groups.keys() or any(_is_another_rate(before[place].rate, one.rate) for place, one in groups.items())

    def is_snapshot(self, step: int) -> bool:
        """Whether every channel is stored at a step: 0, 1, 2, 5, 10, 20, 50, ... and every thousandth, and so in a training behind it."""
        step -= self.first
        return step % 1000 == 0 or any(_is_early(step - begun) for begun in self._begun)

    def keeps_channels(self, step: int, channels: int) -> bool:
        """Whether every channel of a measured step is stored, of so many: at snapshots, and where ranks are to be merged at more steps."""
        turn = (step - self.first) // self._every
        return self.is_snapshot(step) or (self._agrees and is_chosen(turn, channel_level(turn, channels)))

    def is_probed(self, step: int, line_probe: int | str | None) -> bool:
        """Whether a step's update is followed further: every n-th, or "auto" at snapshots; in both cases when trouble begins."""
        if line_probe is None:
            return False
        regular = self.is_snapshot(step) if isinstance(line_probe, str) else step % line_probe == 0
        return regular or self.follows_trouble(step)

    def follows_trouble(self, step: int) -> bool:
        """Whether a step is one of the few after trouble has begun, or has got worse, that are looked at further."""
        return step - self.first <= self._probes_until

    def watches_gradients(self) -> bool:
        """Whether the gradient norm of the unmeasured step that is going on is looked at: it rises a step before the loss does."""
        self._steps_since_look += 1
        return self._steps_since_look >= self.watch_stride

    # -- what steps cost ----------------------------------------------------------------------------------------------

    def account(
        self,
        seconds: float,
        observer_seconds: float,
        was_observed: bool,
        closing_seconds: float = 0.0,
        quiet: float = 1.0,
        was_interrupted: bool = False,
    ) -> bool:
        """Take note of what a step cost.

        Args:
            seconds: its duration.
            observer_seconds: the recorder's share of it, as far as its clock saw it.
            was_observed: whether it was measured.
            closing_seconds: the part of ``observer_seconds`` that made a row of a measured step before it: that belongs to measuring.
            quiet: the share of the time of late that the training did not wait for a processor, see ``quiet_time``.
            was_interrupted: whether another program was given the processor meanwhile.

        Returns:
            Whether the stride has changed so much that it deserves to be told.
        """
        costs, turn = self._costs, self._turns.present
        cost = costs.take(seconds, observer_seconds, closing_seconds, was_observed, turn, quiet, was_interrupted)
        self._pay(max(quiet * seconds - sum(cost), 0.0), cost.measuring)
        self._measured += was_observed
        if self._measured < BASELINE_STEPS:
            # The first steps pay for imports, allocations and thread pools: they thin nothing after them.
            self._purse = max(self._purse, 0.0)
            return False
        return (was_observed or not costs.steps % STEPS_BETWEEN_STRIDES) and self._look_at_the_stride()

    def account_passed(self, seconds: Sequence[float], noted: Sequence[float], made: float, quiet: float) -> bool:
        """The same of steps that have passed by; see ``Costs.take_passed``."""
        cost = self._costs.take_passed(seconds, noted, made, self._turns.present, quiet)
        self._pay(max(quiet * sum(seconds) - cost.passing, 0.0), 0.0, len(seconds))
        return self._look_at_the_stride()

    def _pay(self, training_seconds: float, cost: float, steps: int = 1) -> None:
        """Steps of the training pay their share of the budget; what they were measured for is taken."""
        income = training_seconds * self._budget
        self._purse += max(income - steps * self._costs.passing, income * LEAST_PART) - cost
        self._cost = self._costs.measuring

    def _look_at_the_stride(self) -> bool:
        """Measure more often, or less, where that is due; return whether it deserves to be told."""
        stride = _stride(self._cost, self._allowed, self.stride, self._every)
        if self._agrees:
            stride = self._every * 2 ** level_of(stride / self._every)
        if stride != self.stride:
            self.stride = stride
            self._gap = self._distance()
        if not self._told / TOLD < stride < self._told * TOLD:
            self._told = stride
            return True
        return False

    @property
    def _allowed(self) -> float:
        """What measuring may cost a step, on average."""
        income = self._costs.bare * self._budget
        income = max(income - self._costs.passing, income * LEAST_PART)
        return max(REGULAR_PART * income + self._purse / (2.0 * (self._asked + 1)), LEAST_REGULAR_PART * income)

    # -- what happens in the training ---------------------------------------------------------------------------------

    def note_loss(self, loss: float) -> Level:
        """Take note of a step's loss, once a step; return what it says."""
        level = self._loss_alarm.take(loss)
        if level is not Level.NOTHING:
            self._be_in_trouble(level)
        return level

    def note_look(self, seconds: float, passed: int | None = None) -> None:
        """Take note of what a look at the gradients of a step that is not measured has cost.

        Args:
            seconds: that.
            passed: of a step that passes by how many have before it: they are told of later, together with itself and those after it.
        """
        self._steps_since_look = 0 if passed is None else -passed - 1
        self._looks += 1
        dearer = min(seconds, 2.0 * self._watch_cost) - self._watch_cost if seconds > self._watch_cost else 0.0
        self._watch_cost = min(seconds, self._watch_cost) + WATCH_MEMORY * dearer
        if self._looks >= BASELINE_STEPS:
            self.watch_stride = _stride(self._watch_cost, WATCH_SHARE * self._costs.bare, self.watch_stride)

    def hears_nothing(self, norm: float) -> bool:
        """Take note of the norm of all gradients if it says nothing for certain; return whether it was taken."""
        low, high = self._gradient_alarm.no_news(1)
        return low < norm <= high and self.note_gradient(norm) is Level.NOTHING

    def note_gradient(self, norm: float) -> Level:
        """Take note of the norm of all gradients; return what it says."""
        level = self._gradient_alarm.take(norm)
        if level is not Level.NOTHING:
            self._be_in_trouble(level)
        return level

    def begins_a_look(self, step: int) -> bool:
        """Whether a rise at a step begins a look, and not only prolongs one: what grows from step to step is told once."""
        before, self._risen = self._risen, step
        return step > before + TROUBLE_STEPS

    def note_modes(self, modes: Modes) -> None:
        """Take note of the modes in which the forwards of a step ran, as far as they are known."""
        present = (modes.training > 0, modes.evaluating > 0, modes.model)
        if self._modes is not None and present != self._modes:
            self._pay_for(CHANGE_STEPS)
        self._modes = present

    def note_rates(self, groups: Mapping[int, GroupSettings]) -> None:
        """Take note of the learning rates of a step, by place of the parameter group."""
        for place, settings in groups.items():
            rate = settings.rate
            if type(rate) is not float:
                continue  # it lies on an accelerator
            if _is_another_rate(self._rates.get(place, rate), rate):
                self._pay_for(CHANGE_STEPS)
            self._rates[place] = rate

    def note_optimizers(self, step: int, optimizers: tuple[int, ...]) -> None:
        """Take note of which optimizers have moved weights in a step so far."""
        step -= self.first
        if self._turns.note(step, optimizers):
            self._pay_for(CHANGE_STEPS)
            # A second optimizer of a training is no training behind it; and ranks may differ in which of theirs has stepped. Each such
            # training is at least as far as all before it: a script that makes an optimizer in every step has few of them.
            if not self._agrees and step >= max(BASELINE_STEPS, 2 * self._begun[-1]) and self._turns.begins_anew():
                self._begun.append(step + 1)

    def _be_in_trouble(self, level: Level) -> None:
        self._probes_until = self._asked + PROBES_IN_TROUBLE
        if level is Level.GRAVE:
            self._trouble_until = self._asked + TROUBLE_STEPS
        else:
            self._pay_for(TROUBLE_STEPS)

    def _pay_for(self, steps: int) -> None:
        """Have steps in a row measured, as far as the purse goes."""
        cost = self._cost
        affordable = int(PART_FOR_A_CHANGE * self._purse / cost) if cost > 0.0 else steps
        self._paid_until = max(self._paid_until, self._asked + min(steps, affordable))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        """The step that was asked about is over."""
        if self._answer:
            self._last = self._asked
            self._turns.measured(self._asked)
            self._gap = self._distance()

    def _is_paid_for(self, step: int) -> bool:
        return step <= self._paid_until or (step <= self._trouble_until and self._purse > -CREDIT_SECONDS)

    def _is_due(self, step: int) -> bool:
        if self._agrees:
            return is_chosen(step // self._every, level_of(self.stride / self._every))
        waited = step - self._last - self._gap
        return waited >= 0 and self._turns.is_turn(waited)

    def _distance(self) -> int:
        """Steps to the next that is measured."""
        units = self.stride // self._every
        if units <= 1:
            return self._every
        phase = (self._measured * GOLDEN) % 1.0
        return self._every * max(1, round(units * (1.0 + SPREAD * (2.0 * phase - 1.0))))


def _stride(cost: float, allowed: float, present: int, unit: int = 1) -> int:
    """Return every how many steps something may be done that costs so much, where so much is allowed a step.

    Only a clear change moves it: a stride that flickers is hard to read in a plot.
    """
    needed = cost / max(allowed, 1e-12)
    stride = next((unit * k for k in STRIDES if k >= needed * 0.9), unit * STRIDES[-1])
    return stride if stride > present or unit * needed * CLEAR < stride < present else present


def _is_another_rate(before: Number, rate: Number) -> bool:
    """Whether a learning rate is clearly another than it was; of what lies on an accelerator nothing is known."""
    if type(before) is not float or type(rate) is not float:
        return True
    return rate != before and not before / RATE_CHANGE < rate < before * RATE_CHANGE


def _is_early(step: int) -> bool:
    """Whether the steps of a training have one of their snapshots there."""
    if step < 3:
        return step >= 0
    return step / 10 ** int(math.log10(step)) in (1.0, 2.0, 5.0)
