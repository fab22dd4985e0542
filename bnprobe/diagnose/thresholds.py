"""Every constant that a finding compares with, and where it comes from.

A run's own early steps are its baseline wherever that is possible; these are the numbers that remain. *Convention*: the
documented definition of an outcome. *Practice*: a rule of thumb of the field. *Measured*: set on recordings of trainings with
and without the fault, with room to both sides.
"""

from __future__ import annotations

from bnprobe.analyse.spikes import Limits


class Threshold(float):
    """A threshold that can be relaxed: by how much says how near a recording comes to a cause that is not named.

    Attributes:
        relaxed_to: what it comes to where it is relaxed altogether. Chosen so that few healthy trainings are beyond it: 0 to 16 of 466, 65
            where the learning rate is too high (docs/diagnosis.md, Margins).

    >>> Threshold(3.5, 1.5).relaxed(0.5)
    2.5
    """

    relaxed_to: float

    def __new__(cls, value: float, relaxed_to: float) -> Threshold:  # noqa: D102
        limit = super().__new__(cls, value)
        limit.relaxed_to = relaxed_to
        return limit

    def relaxed(self, by: float) -> float:
        """The threshold, relaxed by a share of the way: 0 leaves it as it is."""
        return float(self) + by * (self.relaxed_to - float(self))


#: Steps that a statement about the course of the loss needs. Practice: fewer say more about the first batches than about the
#: training.
COURSE_STEPS = 20
#: A loss from this share below ln C, for C outputs, to that share above it is at chance level. Measured: collapsed
#: networks lie within 1 per cent, or some per cent above where large steps keep shaking the last layer's bias.
BELOW_CHANCE = 0.03
ABOVE_CHANCE = 0.1
#: How near the negative of ln C a cross-entropy begins whose sign is turned. Practice: first losses lie within a fifth of ln C.
NEAR_GUESS = 0.2
#: A squared error, or its root, of less than this share of the loss is not all of it.
EXPLAINED_SHARE = 0.25
#: Deviation of the losses against their level, above which batches are too noisy to say that nothing is learned. Practice.
NOISY_SHARE = 0.1
#: The same, above which one batch says nothing of the next. Practice: few samples each, or a target that is met almost exactly.
UNEQUAL_BATCHES = 0.5
#: A loss of which the median is this many times its first has risen. Practice: noise and a warm-up stay below.
RISEN_TIMES = 2.0
#: Standard errors beyond which a difference of two medians is none of the noise. Convention.
BEYOND_NOISE = 3.0
#: Share of its start by which the loss of a training that makes progress falls at least, and which noise must not hide. Practice.
VISIBLE_FALL = 0.2
#: A loss that is so many times its lowest level, and half of the decades up again, has lost what it had gained. Convention.
RELAPSED_TIMES = 10.0
#: Share of the last layer's energy that differs between inputs, below which its output is one and the same. Measured: 0.01 and more in
#: healthy trainings, whatever their loss; 1e-8 and less in collapsed ones.
COLLAPSED_SHARE = 1e-3
#: By what that share falls at least where all samples come to get one answer. Measured: to 0.03 and 0.13 of its first value where targets
#: were all the same; contrastive and ranking losses keep it or let it grow.
ALIKE_TIMES = 0.5
#: Share of its start below which a loss that compares outputs with each other is at its floor: all distances zero, all cosines one.
#: Practice.
FLOOR_SHARE = 0.05
#: By what a mean of cosines may pass one.
ROUNDING = 1e-4
#: Growth of that energy since the first step from which an output is not collapsed but small beside its mean. Practice.
OUTPUT_GROWTH = 10.0
#: What may be left of it at most where an output is collapsed although the loss still falls. Practice.
NOTHING_LEFT = 1e-4
#: A loss that has come down to this share of its first has been learned from, even if it leapt there or on the way: practice.
FALLEN_SHARE = 0.5
#: A loss that keeps this share of its first underperforms. Practice: networks that learn come below within tens of steps; noisy labels do
#: not.
UNDERPERFORMING_SHARE = Threshold(0.7, 0.3)
#: Of ln C, for C outputs, below which a loss has left chance level behind. Practice; a network without normalisation begins at
#: several times that level, and falls to it, or a little above, without learning.
LEARNED_SHARE = 0.75

#: Deviation of the logits of attention for independent directions, from which a softmax takes one key. Measured before the first update:
#: 0.05 to 0.7 in attentions as libraries ship them; 5 to 16 where the root of a width of 128 to 256 was left out. Of logits of that
#: deviation the largest of some ten outweighs the others.
ATTENTION_DEVIATION = Threshold(4.0, 2.0)
#: By how much they have grown where they were small at first. Convention.
ATTENTION_GROWTH = 4.0
#: Entries from which the norm of a matrix tells whether it was drawn, and how near it comes to what it is drawn with. Convention: of 1024
#: independent entries the norm deviates by 2 per cent at most.
DRAWN_ENTRIES = 1024
DRAWN_NORM = 0.05

#: Parts made alike that are a mixture or a list of heads, the share of them that is used where most are not, and the share of the steps
#: that reach one which is not, and one which is. Convention.
FEWEST_EXPERTS = 3
USED_EXPERTS = 0.5
IDLE_STEPS_SHARE = 0.05
ASKED_OFTEN = 0.5

#: Growth of the activations over the whole depth before the first update, decades. Measured: -4 to 0.8 in healthy trainings, in two 1.4 and
#: 4.8 by one layer alone; 1.8 in a residual network of 29 layers without normalisation, 3.4 and more in others.
EXPLODED_DECADES = Threshold(0.9, 0.2)
#: Growth in one layer that can compound. Convention: 0.02 decades are a factor of ten over fifty layers.
GROWTH_PER_LAYER = Threshold(0.02, 0.01)
#: What is left of it without the layer that grows most. Measured: 0.4 and less in healthy trainings, 0.5 with symmetric weights; 1.2 and
#: more.
COMPOUNDED_DECADES = Threshold(0.45, 0.1)
#: The same growth while training, shortly before a divergence; more, because training itself widens a profile. Measured.
EXPLODING_LATE_DECADES = Threshold(2.25, 1.0)

#: Share of the last layer's signal common to the whole batch, from which it says next to nothing of the input. Measured: 0.95
#: and more in collapsed and diverged networks, 0.01 to 0.5 in most trained ones; before training it says nothing, being 0.3
#: to 1 in healthy ones.
COMMON_MODE_FRACTION = Threshold(0.95, 0.7)
#: The same before the first update and in the first steps, where it says more than at any later one: healthy networks part their inputs
#: within a few steps. Measured: odds of up to 25 (0.96) in healthy trainings in which the common part does not fall along depth, of 50 to
#: 4e7 with a mean shift.
COMMON_EARLY_FRACTION = Threshold(0.99, 0.95)
COMMON_EARLY_STEPS = 6
#: Share of the deep layers' signal that is common, before the first update, where it is no smaller than in the first layer: its growth up
#: to there in decades. Measured in networks of five layers and more that nothing normalises: 0.9 and less in healthy ones where it does not
#: fall; 0.94 to 1 under a mean shift, with a growth of 0.1 to 1.8.
FULL_FRACTION = Threshold(0.915, 0.7)
COMMON_KEPT_DECADES = Threshold(0.0, -0.3)
#: Growth of that part, and of the whole signal along depth, from which less is enough. Measured: the whole grows by 0.4 and less in healthy
#: networks; 0.7 to 1.3, the part by 0.8 to 2.4.
COMMON_GROWTH_DECADES = Threshold(0.3, 0.0)
COMMON_SPAN_DECADES = Threshold(0.6, 0.3)
#: The same of every layer. Measured: at most 0.9 in healthy trainings, 0.95 with other faults; 0.979 and more under a constant that drowns
#: the signal.
COMMON_THROUGHOUT = Threshold(0.945, 0.85)
#: And in a run that trains well. Measured: 0.976 at most in healthy trainings that nothing normalises, whose input is not common itself.
COMMON_THROUGHOUT_WELL = Threshold(0.985, 0.95)
#: And of the deepest third of the layers. Measured: 0.5 to 0.98 where the mean shifts; 0.1 in a healthy network that ends in a mean over
#: places.
DEEP_EARLY_FRACTION = Threshold(0.5, 0.4)
#: Its odds at the last layer against those at the first. Practice: an input that is common itself makes the network's output so, too.
COMMON_EARLY_ODDS = Threshold(10.0, 3.0)
#: Rise of that share from the first to the last layer. Practice: a signal that is common from the start (a constant input) is
#: another fault.
COMMON_MODE_RISE = 0.3
#: The same as a ratio of A / (B + W), which still tells where the share is near one from the first layer on. Measured: 7 to 37 in
#: networks whose mean shifts; alone it says nothing, being 0.1 to 70 before the first update of healthy ones.
COMMON_MODE_ODDS = Threshold(5.0, 2.0)
#: Share from which the deepest third of the layers counts as shifted. Measured: 0.2 to 0.5 with normalisation, 0.7 to 1 after
#: a shift; up to 1 at the start of healthy networks whose signal shrinks along depth, which is why growth is asked for as well.
SHIFTED_FRACTION = Threshold(0.6, 0.4)

#: Fall of the activation gradient from the last layer to the first, decades. Measured: up to 2.7 in healthy trainings, in two 3.2 and 3.6,
#: whose first layers move as the last; 3.6 to 6.5 where they did not train. In a run that underperforms less is asked for.
VANISHED_DECADES = Threshold(2.6, 1.0)
VANISHED_UNDERPERFORMING_DECADES = Threshold(2.25, 1.0)
#: The same of a run that is stuck although the first layers move. Measured: 2.7 in a healthy transformer that was given a wrong axis.
VANISHED_STUCK_DECADES = Threshold(3.0, 1.0)
#: The same where first and last layers move alike, or hardly at all: then it is the fall, whatever moves. Measured: up to 3.6 in healthy
#: trainings, and where the rate was too low.
VANISHED_OUTRIGHT_DECADES = Threshold(4.0, 3.0)
#: Update ratio of the first layers against that of the last, below which the first do not train. Measured: 0.03 to 2 in healthy trainings,
#: 5e-6 to 8e-3 with vanishing gradients.
STARVED_RATIO = Threshold(0.05, 0.15)
#: Distance that the last layers move at least, as update ratio times steps, where it is the gradient's fall that keeps the first from it.
#: Measured: 0.1 and more; 9e-3 where the rate was too low.
LAST_MOVED_DISTANCE = 3e-2
#: Rise of the activation gradient from the last layer to the first before the first update, decades. Measured: batch norm and
#: ReLU alone make 0.08 a layer (the factor 1.21 of sqrt(pi / (pi - 1))), 1.5 over the twenty layers of common networks; 2.1 over sixteen,
#: 3.6 over forty.
EXPLODED_GRADIENT_DECADES = Threshold(1.7, 1.0)
#: The same in a network without normalisation, which has no such factor. Measured: -2.6 to 0.6 in healthy trainings of 3 to 40 layers, 1.6
#: and more with weights drawn too wide.
EXPLODED_PLAIN_GRADIENT_DECADES = Threshold(0.75, 0.3)
#: Layers that growth from layer to layer needs to compound. Practice.
COMPOUNDING_LAYERS = 5
#: Gradient of a recurrent layer against that of the layer behind it before the first update, decades, and activation gradient of the first
#: of many calls of a module against that of the last: what passing through time has made of it. Measured: -0.6 to 1.1 in healthy trainings,
#: 2.5 to 3.7 with recurrent weights drawn wide, -3.1 with small ones.
THROUGH_TIME_DECADES = Threshold(1.4, 0.6)
#: The same of the calls of a module where nothing normalises. Measured: up to 0.4 in healthy trainings, 0.9 to 1.2; 1.1 with batch norm.
THROUGH_TIME_PLAIN_DECADES = Threshold(0.7, 0.3)
#: Share of that growth which the first half of the calls has at least, if it compounds. Convention: half, where each call multiplies; where
#: every call only adds its own part to a sum, the growth of eight calls has less than a quarter there.
COMPOUNDING_SHARE = 0.33
#: Calls of a module in one forward that make a course through time. Practice.
CALLS_THROUGH_TIME = 5
#: Leap of the total gradient norm above its own early median. Practice: clipping thresholds are set to a few times the typical
#: norm.
GRADIENT_LEAP = Threshold(100.0, 10.0)

#: Update ratio of a training step that cannot be a small one. Practice: 1e-3 is healthy; a tenth of the weight in one step is
#: not small.
LARGE_UPDATE_RATIO = Threshold(0.1, 0.05)
#: Large updates that lose a run which did not diverge. Practice: one is the first of an adaptive optimizer, or an accident.
LARGE_UPDATES = 3
#: Share of all updates, beyond the first, that are large where the rate is too high for a network that trains all the same. Measured: up
#: to 0.14 in healthy trainings, 0.24 of LBFGS; 0.4 to 1.
SUSTAINED_SHARE = Threshold(0.35, 0.1)
#: Deviation of the late losses over their level below which steps do not shake a loss. Practice: batches alone make more.
UNDISTURBED_NOISE = 1e-3
#: Unless one was larger than the weights. Convention: then hardly anything of the initialisation is left.
OVERWHELMING_UPDATE = 1.0
#: An update after which units that fell silent did so because of it. Measured: 0.24 to 440 where the rate was too high; 0.04 and less where
#: they died of something else.
KILLING_UPDATE = 0.2
#: Updates within this factor of a large one, in the steps right before it, belong to the same ascent. Practice: half a decade.
RAMP = 3.0
#: Distance moved, as mean size of a step times steps, below which a network is where it was. Measured: more than 1.4 in healthy trainings
#: of 60 to 300 steps that kept half of their first loss; at most 0.16 where the rate was too low.
UNMOVED_DISTANCE = Threshold(0.3, 2.0)
#: The same while the loss falls, which tells a rate that is too low from gradients that are gone. Measured: 0.35.
UNMOVED_WHILE_FALLING = Threshold(0.47, 2.0)

#: Steps that a training has at least, for one that was cut short. Practice.
USUAL_STEPS = 1000
#: How far the fastest layer moves in so many steps, as a share of its size, below which the weights stand, where the loss does not say how
#: the training goes. Practice: those of a language model that is tuned at a rate of 1e-6 move by 0.05.
STANDING_DISTANCE = 0.01
#: Share by which a loss that still falls has come down, from which a training is under way and only short. Measured: 0.06 where the rate
#: was too low, 0.10 and more in the first steps of healthy ones.
UNDER_WAY_SHARE = 0.09
#: Last learning rate of a warm-up over its median so far: 2 where it rises evenly. Convention.
WARM_UP = 1.5
#: Share of its start at which a loss stands, from which it could have fallen further. Practice: a third.
STANDING_SHARE = 0.3
#: Of its peak, a learning rate that moves nothing any more, and the share of the run within which a schedule that was meant does not reach
#: it. Convention.
SPENT_RATE = 0.01
SPENT_WITHIN = 0.4
#: The same where the loss had come down, so that it may stand for lack of anything to learn. Convention: a hundred times less, for half of
#: the run.
SPENT_OUTRIGHT_RATE = 1e-4
SPENT_OUTRIGHT_WITHIN = 0.5
#: What a rate falls back to, as a share of what it was, where a warm-up begins anew, and how often that is no accident. Convention.
FELL_BACK, WARM_UPS = 0.2, 3

#: Share of its start to which no loss comes down under a decay that is too strong, or where gradients vanish. Convention: three decades.
FITTED_SHARE = 1e-3

#: Share of a layer's channels that are silent for the whole batch, in a run that underperforms, and in any. Measured: up to 0.56 in healthy
#: trainings, once 0.94 in a layer of 16; 0.97 and more where a layer was dead.
DEAD_SHARE = Threshold(0.6, 0.4)
DEAD_LAYER_SHARE = Threshold(0.75, 0.4)
#: Observed steps over which a unit has to be silent to count as dead. Practice: a handful of batches.
DEAD_STEPS = 5
#: The same where a step sees a single sample. Practice: as many samples as a small batch has in five.
DEAD_SINGLE_SAMPLES = 50
#: Size of the gradients of outputs from which on those of weights, which are sums of them, do not all underflow in float16, whose smallest
#: number is 6e-8.
NO_UNDERFLOW = 1e-6

#: Slope that is left of a bounded activation, its mean derivative over the largest, below which it is saturated. Measured: 0.2 to
#: 0.95 in healthy trainings with tanh and the logistic function, 0.01 to 0.06 in saturated ones.
SATURATED_SLOPE = Threshold(0.18, 0.5)

#: Size of the network's input beyond which it is not scaled. Measured: 0.4 to 11 in healthy trainings (pixels of 0 to 16 the most), 120 and
#: more where it was not scaled (pixels of 0 to 255 have about 100).
UNSCALED_RMS = Threshold(20.0, 3.0)
#: Largest magnitude in an input that is far too small for a network as it is usually initialised, whose biases are about 0.1. Practice: a
#: one-hot input has values of one, pixels of 0 to 1 too; pixels that were divided by 255 twice have 0.004.
SMALL_INPUT = Threshold(0.05, 0.1)
#: What one layer leaves of the energy that differs between inputs, and of its share of the whole, where it gives the same for all. Both:
#: a normalisation behind a large signal takes away energy alone, and a large bias share alone. Practice: where a group norm saw single
#: pixels, rounding left 1e-9 of the energy and 1e-6 of the share.
EXTINGUISHED_ENERGY = 1e-8
EXTINGUISHED_SHARE = 1e-4
#: A signal put together from others and this many times larger than each of them holds data of its own. Convention.
JOINED_TIMES = 10.0
#: Size of one batch against those before it, and of late batches against the first, decades. Practice: batches of the same data differ by
#: far less.
OUTLYING_DECADES = 1.0
#: Share of an input's growth that lies in single leaps, and measured steps that each level stands for at least. Practice: what grows with
#: the weights does so from step to step.
STAIRS_SHARE, STAIR_STEPS = 0.8, 5

#: Everything within this many decades of its recent course counts as calm before a fault. Measured: 0 to 1.4 before a fault
#: of the arithmetic, the most where a young network was learning fast; 2 to 35 at the divergence of an instability whose last
#: steps were measured.
CALM_DECADES = Threshold(1.5, 6.0)
#: Loss against its recent median that still counts as calm. Practice.
CALM_LOSS_TIMES = Threshold(10.0, 1000000.0)
#: Losses that show whether a network was learning. Practice: two could be chance.
CALM_LOSSES = 3
#: Steps before a fault that show what was usual. Practice: long enough for a median, short enough to follow a training.
CALM_STEPS = 10
#: A gradient is clipped at so many times its usual norm. Practice: ordinary batches are left alone, and one that leaps moves no further.
CLIP_TIMES = 2.0

#: Steps, and share of the measured ones, that began with the last gradients in place, for it to be the rule. Convention: once may be
#: the loop's start; a GAN's other network has cleared its own.
UNCLEARED_STEPS = 2
UNCLEARED_SHARE = Threshold(0.6, 0.3)
#: Steps that ended a run in evaluation mode. Convention: two are no accident of where the recording was cut.
EVALUATING_STEPS = 2
#: Share of all steps in evaluation mode, in stretches between others, from which it is no accident. Convention.
EVALUATING_SHARE = 0.05
#: Share that a dropout drops, from which it leaves too little. Practice: 0.1 to 0.5 is usual, wide layers train with 0.8; 0.9 is most
#: often the share to keep.
DROPPED = 0.85
#: Share of zeros behind a dropout that no usual one leaves behind a rectifier that was not seen. Arithmetic: 0.5 behind one of 0.7
#: leaves 0.85.
DROPPED_ZEROS = 0.93
#: How far a target of a binary cross-entropy may be outside 0 to 1. Practice: rounding, and label smoothing that overshoots.
OUT_OF_RANGE = 0.01
#: Share of the targets' variance that lies beyond what the last activation can give, from which they are out of its reach. Practice: noise
#: on targets that end where the activation does reaches out by less.
OUT_OF_REACH = 0.05
#: Share of the late error above which what cannot be reached is most of it. Convention.
MOST_OF_ERROR = 0.5
#: Deviation of the first logits, and first loss over that of a guess, from which they are too wide. Practice: networks start with logits
#: of deviation 0.1 to 1 and a loss within a tenth of ln C.
WIDE_LOGITS = 4.0
WIDE_LOSS = 2.5
#: Share of the loss of a guess below which such a start held nothing up. Measured: 0.005 where it did no harm, 0.18 and more where it did.
FAR_BELOW_GUESS = 0.01

#: What is left after clipping to a norm, up to rounding. Practice.
CLIPPED_EXACTLY = 1.01
#: Share of all cases that is nearly all of them. Practice.
MOSTLY = 0.9
#: Share of a gradient that clipping leaves where it, rather than the learning rate, keeps the weights in place. Practice: limits are a few
#: times the usual norm, and one of a tenth of it still leaves what a rate ten times larger makes up for.
CLIPPED_AWAY = 0.05
#: Share of a weight's elements that updates in half precision leave as they are, from which it is not trained. Arithmetic: an element moves
#: if its update is above half of its last place, 2^-9 of it in bfloat16; in float32 nearly all move.
LOST_SHARE = 0.5
#: The same in a run that learns. Measured: 0.78 in one whose loss stayed far above that in float32.
LOST_WELL_SHARE = 0.75
#: Labels of a batch from which one class alone is no accident, steps that have one class, and how often the class changes. Convention.
PURE_LABELS = 8
PURE_SHARE = 0.5
PURE_CHANGES = 0.3
#: Rms of the targets from which they are not scaled, and times the output that they are. Practice: a network starts with outputs about 1.
UNSCALED_TARGET = 50.0
TARGET_TIMES = 50.0
#: Deviation of the first outputs over that of the targets, from which the start is too wide. Practice: about 1 is usual; 8 was seen.
WIDE_OUTPUT = 4.0
#: Squared error over that of a constant prediction, from which the output is no better than a constant. Convention.
CONSTANT_SHARE = 0.97
#: Cross-entropy over that of guessing by the shares of the labels: from the first on it is no better, below the second it clearly is.
#: Convention.
GUESS_SHARE, BETTER_THAN_GUESSING = 0.98, 0.9
#: Median deviation, as a share, of the loss over a cross-entropy of the same step, up to which they are the same but for a factor.
#: Practice: nothing but rounding where they are; a quarter and more where a few samples weigh ten times the others.
SAME_LOSS = 0.1
#: Steps within which a training that goes on may stand at that level, or at chance: networks learn the mean first, and the rest after it.
#: Practice; measured: an autoencoder that learns stood there from its 18th step to its 36th, a classifier at chance for its first 20.
MEAN_FIRST_STEPS = 100

#: Largest finite value of a float16 signal over 65504 from which what is not finite beside it overflowed. Practice: the rest of a signal of
#: which one value overflows lies within two decades of it.
NEAR_OVERFLOW = Threshold(1e-2, 0.0001)
#: Share of zeros of a signal that is gone. Practice: rounding leaves some values.
GONE_SHARE = 0.9
#: Share of zeros below which a signal was alive at first, and by which it has to grow to be on its way to none. Practice.
ALIVE_SHARE = 0.5
MORE_ZEROS = 1e-2
#: Steps in which a gradient scaler may look for its scale. Practice: it starts at 2^16 and halves.
SCALE_SEARCH_STEPS = 16
#: Share of later updates that a scaler refuses, from which it is no search. Practice: it refuses one in 2000 once it is settled.
REFUSED_SHARE = Threshold(0.3, 0.1)

#: Norm of the weights against their first, below which they have shrunk. Measured: 0.96 and more in healthy trainings, 3e-3 to 0.4 under a
#: decay that was too strong.
SHRUNK = Threshold(0.78, 0.95)
#: The same where no decay of the optimizer accounts for it. Measured: 0.76 and more in 400 trainings without too much decay, with all other
#: faults and without; 0.28 to 0.37 with a penalty in the loss.
PENALISED = Threshold(0.72, 0.85)
#: The same of all weights, those in front of a normalisation included, which a penalty draws down as well. Practice: without one they grow.
ALL_SHRUNK = 0.9
#: Share of a weight that its decay takes away in one step. Measured: up to 1e-3 in healthy trainings; 0.06 to 0.3 where it was too strong.
DECAY_PER_STEP = Threshold(0.002, 0.0003)
#: Decay against the gradient, where an adaptive optimizer divides their sum. Measured: up to 0.01 in healthy trainings, 0.85 and more.
DECAY_AGAINST_GRADIENT = Threshold(0.06, 0.01)

#: Deviations from what was usual, from which a value stands out. Practice.
SPIKE_SIGMAS = 8.0
#: Losses whose median has to be high in a spike that lasts. Practice.
SPIKE_LENGTH = 3
#: A spike of the loss. Measured, the highest of healthy trainings against the lowest of spikes that were meant: over three losses 12 and 31
#: times the noise; of one loss 12 (26 where the data have heavy tails) and 8 to 53 times, 22 (82) and 33 deviations.
SPIKE_LASTING = Threshold(6.0, 2.5)
SPIKE_SINGLE = Threshold(15.0, 5.0)
SPIKE_LONE_SIGMAS = Threshold(28.0, 12.0)
SPIKE_SHARE = Threshold(0.03, 0.015)
#: Growth of the weights' norm by something other than the optimizer, and how often, before it explains a divergence. Practice.
GROWN_OUTSIDE, CHANGED_OUTSIDE = 1.5, 2
#: Single losses as high before it that make a short spike another hard batch, and how high: a share of its rise. Practice.
HARD_BATCHES, AS_HARD = 3, 0.8


def spike(relaxation: float) -> Limits:
    """What makes a spike of the loss, with its thresholds relaxed."""
    return Limits(
        before=20,
        length=SPIKE_LENGTH,
        sigmas=SPIKE_SIGMAS,
        lasting=SPIKE_LASTING.relaxed(relaxation),
        single=SPIKE_SINGLE.relaxed(relaxation),
        lone_sigmas=SPIKE_LONE_SIGMAS.relaxed(relaxation),
        share=SPIKE_SHARE.relaxed(relaxation),
    )


#: Last losses against the first, in a run that is too short for more, from which the loss has risen. Practice.
ROSE_TIMES = 1.5
#: A spike out of losses below this share of the first tells of itself, not of the steps before it. Practice.
CALM_SHARE = 0.9
#: An update or a gradient is what moved first when it is this many times its usual size, not more than so many steps before. Practice.
MOVER_TIMES = 3.0
NEAR_STEPS = 5
#: The same for the size of the input, in decades: batches of the same data differ by less. Practice.
ODD_BATCH_DECADES = 0.15

#: Values of a channel from which batch statistics are mostly noise: the deviation of a mean of 8 values is a third of theirs.
#: Practice; and Wu, He 2018, Figure 1: batches of 8 and fewer lose accuracy.
FEW_VALUES = Threshold(8.0, 32.0)
#: The same in samples, where a sample has many positions: these are no independent values.
FEW_SAMPLES = Threshold(4.0, 16.0)
NOISY_STATISTICS = 0.3
#: Gap between training and evaluation, in standard deviations, that chance does not explain: at least this, and this many times what
#: as many independent values as there are samples would make. Measured: 0.05 to 0.23 in healthy trainings of 50 samples and more, 0.2 to
#: 0.35 with 32; 0.52 to 2.9 with a momentum of 0.01 and less.
EVALUATION_GAP = Threshold(0.4, 0.2)
#: The same for the data of an evaluation, which are of another draw. Measured at the last one: up to 0.69 in healthy trainings, 0.8 and
#: more where statistics or data were others.
EVALUATED_GAP = Threshold(0.74, 0.35)
GAP_TIMES = 2.0
#: Late measured steps that show whether a gap stays.
GAP_STEPS = 3
#: A gap that falls to less than this share with every step still closes. The usual momentum of 0.1 leaves 0.9 a step of what was there at
#: first, and weights that learn meanwhile keep some of it open; one of 0.01, which is a fault, leaves 0.99.
GAP_CLOSES = 0.965
#: Steps after which the running statistics of a training that goes on are judged. Arithmetic: of where they began, a momentum of 0.1 leaves
#: 4 per cent by then.
GAP_SETTLES = 30
#: Samples of an evaluation's batch, below which it says little of its data. Practice.
EVALUATED_SAMPLES = 16
#: Distance of a signal's means at different calls of one batch norm, in deviations, below which they are of one kind. Practice:
#: measured: 0.05 to
#: 0.35 for two views of the same pictures, 0.8 for three layers.
REUSED_APART = 0.5
#: Gap of one call of a batch norm that is called several times. Practice: as above.
REUSED_GAP = Threshold(0.35, 0.1)

#: Difference between rows that are equal but for rounding, and that are still so near each other that they act as one. Measured: 0 for
#: copies, 1 and more for random rows; copies that random biases pull apart have come to 0.01 to 0.6 after a hundred steps.
EQUAL_ROWS = 1e-5
NEARLY_EQUAL_ROWS = Threshold(0.2, 0.4)
#: Snapshots after which a single constant layer has been told apart. Measured: the last layers of residual branches, started at zero, are
#: equal after the first update, as none reached them, and 0.7 and more apart after the second.
SYMMETRIC_SNAPSHOTS = 3
