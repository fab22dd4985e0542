"""Every constant that a finding compares with, and where it comes from.

A run's own early steps are its baseline wherever that is possible; these are the numbers that remain. *Convention*: the
documented definition of an outcome. *Practice*: a rule of thumb of the field. *Measured*: set on recordings of trainings with
and without the fault, with room to both sides.
"""

from __future__ import annotations

#: Steps that a statement about the course of the loss needs. Practice: fewer say more about the first batches than about the
#: training.
COURSE_STEPS = 20
#: A loss from this share below ln C, for C outputs, to that share above it is at the level of guessing. Measured: collapsed
#: networks lie within 1 per cent, or some per cent above where large steps keep shaking the last layer's bias.
BELOW_CHANCE = 0.03
ABOVE_CHANCE = 0.1
#: Deviation of the losses against their level, above which batches are too noisy to say that nothing is learned. Practice.
NOISY_SHARE = 0.1
#: A loss of which the median is this many times its first has risen. Practice: noise and a warm-up stay below.
RISEN_TIMES = 2.0
#: A loss that has come down to this share of its first has been learned from, even if it leapt there or on the way: practice.
FALLEN_SHARE = 0.5
#: Of ln C, for C outputs, below which a loss has left the level of guessing behind. Practice; a network without normalisation begins at
#: several times that level, and falls to it, or a little above, without learning.
LEARNED_SHARE = 0.75

#: Growth of the activations over the whole depth before the first update, decades. Measured: -4 to 0.1 in thirty sound trainings;
#: 1.6 in a residual network of 26 layers without normalisation, 1.9 to 2.6 in one of 38.
EXPLODED_DECADES = 1.0
#: The same in a run that trains all the same: no longer a matter of taste. Measured: -0.9 to 0.8 in sound trainings.
EXPLODED_UNNOTICED_DECADES = 2.0
#: Growth in one layer that can compound. Convention: 0.02 decades are a factor of ten over fifty layers.
GROWTH_PER_LAYER = 0.02
#: The same while training, shortly before a divergence; more, because training itself widens a profile. Measured.
EXPLODING_LATE_DECADES = 3.0

#: Share of the last layer's signal common to the whole batch, from which it says next to nothing of the input. Measured: 0.95
#: and more in collapsed and diverged networks, 0.01 to 0.5 in most trained ones; before training it says nothing, being 0.3
#: to 1 in sound ones.
COMMON_MODE_FRACTION = 0.95
#: Rise of that share from the first to the last layer. Practice: a signal that is common from the start (a constant input) is
#: another fault.
COMMON_MODE_RISE = 0.3
#: The same as a ratio of A / (B + W), which still tells where the share is near one from the first layer on. Measured: 7 to 37 in
#: networks whose mean shifts; alone it says nothing, being 0.1 to 70 before the first update of sound ones.
COMMON_MODE_ODDS = 5.0
#: Share from which the deepest third of the layers counts as shifted. Measured: 0.2 to 0.5 with normalisation, 0.7 to 1 after
#: a shift; up to 1 at the start of sound networks whose signal shrinks along depth, which is why growth is asked for as well.
SHIFTED_FRACTION = 0.6

#: Fall of the activation gradient from the last layer to the first, decades. Practice: float32 loses an update below 1e-7 of
#: the weight, and a normal update is 1e-3 of it, so four decades leave the first layers without one.
VANISHED_DECADES = 4.0
#: The same in a run that trains all the same. Practice: two decades more than hurts.
VANISHED_UNNOTICED_DECADES = 6.0
#: Update ratio of the first layers against that of the last, below which the first do not train. Practice.
STARVED_RATIO = 1e-2
#: Rise of the activation gradient from the last layer to the first before the first update, decades. Measured: batch norm and
#: ReLU alone make 0.08 a layer (the factor 1.21 of sqrt(pi / (pi - 1))), 1.5 over the twenty layers of common networks.
EXPLODED_GRADIENT_DECADES = 3.0
#: The same in a network without normalisation, which has no such factor. Measured: -2.1 to 0.3 in sound trainings of 3 to 40 layers.
EXPLODED_PLAIN_GRADIENT_DECADES = 1.0
#: Layers that growth from layer to layer needs to compound. Practice.
COMPOUNDING_LAYERS = 8
#: Leap of the total gradient norm above its own early median. Practice: clipping thresholds are set to a few times the typical
#: norm.
GRADIENT_LEAP = 100.0

#: Update ratio of a training step that cannot be a small one. Practice: 1e-3 is healthy; a tenth of the weight in one step is
#: not small.
LARGE_UPDATE_RATIO = 0.1
#: Large updates that lose a run which did not diverge. Practice: one is the first of an adaptive optimizer, or an accident.
LARGE_UPDATES = 3
#: Unless one was larger than the weights. Convention: then hardly anything of the initialisation is left.
OVERWHELMING_UPDATE = 1.0
#: Updates within this factor of a large one, in the steps right before it, belong to the same ascent. Practice: half a decade.
RAMP = 3.0
#: Distance moved, as update ratio times steps, below which a network is where it was. Practice.
UNMOVED_DISTANCE = 1e-2

#: Share of a layer's channels that are silent for the whole batch. Half of them harms; nine tenths leave no layer to speak of.
#: Practice.
DEAD_SHARE = 0.5
DEAD_LAYER_SHARE = 0.9
#: Observed steps over which a unit has to be silent to count as dead. Practice: a handful of batches.
DEAD_STEPS = 5

#: Slope that is left of a bounded activation, its mean derivative over the largest, below which it is saturated. Measured: 0.4 to
#: 0.95 in sound trainings with tanh and the logistic function, 0.01 to 0.1 in saturated ones.
SATURATED_SLOPE = 0.15

#: Size of the network's input beyond which it is not scaled. Practice: standardised inputs have rms 1; pixels of 0 to 255
#: have about 100.
UNSCALED_RMS = 30.0
#: Size of one batch against those before it, decades. Practice: batches of the same data differ by far less.
OUTLYING_DECADES = 1.0

#: Everything within this many decades of its recent course counts as calm before a fault. Measured: 0 to 1.4 before a fault
#: of the arithmetic, the most where a young network was learning fast; 2 to 35 at the divergence of an instability whose last
#: steps were measured.
CALM_DECADES = 1.5
#: Loss against its recent median that still counts as calm. Practice.
CALM_LOSS_TIMES = 10.0
#: Losses that show whether a network was learning. Practice: two could be chance.
CALM_LOSSES = 3
#: Steps before a fault that show what was usual. Practice: long enough for a median, short enough to follow a training.
CALM_STEPS = 10

#: Steps, and share of the measured ones, that began with the last gradients in place, for it to be the rule. Convention: once may be
#: the loop's start; a GAN's other network has cleared its own.
UNCLEARED_STEPS = 2
UNCLEARED_SHARE = 0.8
#: Steps that ended a run in evaluation mode. Convention: two are no accident of where the recording was cut.
EVALUATING_STEPS = 2

#: Largest finite value of a float16 signal over 65504 from which what is not finite beside it overflowed. Practice: the rest of a signal of
#: which one value overflows lies within two decades of it.
NEAR_OVERFLOW = 1e-2
#: Steps in which a gradient scaler may look for its scale. Practice: it starts at 2^16 and halves.
SCALE_SEARCH_STEPS = 16
#: Share of later updates that a scaler refuses, from which it is no search. Practice: it refuses one in 2000 once it is settled.
REFUSED_SHARE = 0.3

#: Norm of the weights against their first, below which they have shrunk. Practice: training moves it by some tens of per cent.
SHRUNK = 0.7
#: Share of a weight that its decay takes away in one step. Practice: 5e-4 at a rate of 0.1 with momentum 0.9 takes 5e-4.
DECAY_PER_STEP = 3e-3

#: A spike rises above the median of the losses before it by this many deviations, to this many times it, and above the largest of them.
#: Measured: at most 5 deviations and 1.6 times in sound trainings with batches of 32 and more.
SPIKE_SIGMAS = 8.0
SPIKE_TIMES = 1.5
#: Losses before a spike that make its level, and losses from it on whose median has to be high: what is back at once is a hard batch.
SPIKE_BEFORE = 20
SPIKE_LENGTH = 3
#: An update or a gradient is what moved first when it is this many times its usual size, not more than so many steps before. Practice.
MOVER_TIMES = 3.0
NEAR_STEPS = 5
#: The same for the size of the input, in decades: batches of the same data differ by less. Practice.
ODD_BATCH_DECADES = 0.15

#: Values of a channel from which batch statistics are mostly noise: the deviation of a mean of 8 values is a third of theirs.
#: Practice; and Wu, He 2018, Figure 1: batches of 8 and fewer lose accuracy.
FEW_VALUES = 8.0
#: The same in samples, where a sample has many positions: these are no independent values.
FEW_SAMPLES = 4.0
NOISY_STATISTICS = 0.3
#: Gap between training and evaluation, in standard deviations, that chance does not explain: at least this, and this many times what
#: as many independent values as there are samples would make. Measured: 0.2 to 0.35 in sound trainings with 32 samples.
EVALUATION_GAP = 0.5
GAP_TIMES = 2.0
#: Late measured steps that show whether a gap stays.
GAP_STEPS = 3
#: Samples of an evaluation's batch, below which it says little of its data. Practice.
EVALUATED_SAMPLES = 16
#: Gap of one call of a batch norm that is called several times. Practice: as above.
REUSED_GAP = 0.5

#: Difference between rows that are equal but for rounding, and that are still so near each other that they act as one. Measured: 0 for
#: copies, 1 and more for random rows; copies that random biases pull apart have come to 0.01 to 0.6 after a hundred steps.
EQUAL_ROWS = 1e-5
NEARLY_EQUAL_ROWS = 0.1
#: Snapshots after which a single constant layer has been told apart. Measured: the last layers of residual branches, started at zero, are
#: equal after the first update, as none reached them, and 0.7 and more apart after the second.
SYMMETRIC_SNAPSHOTS = 3
