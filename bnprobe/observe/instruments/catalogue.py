"""The instruments of a recording, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable

from bnprobe.observe.instruments.attention import Attention
from bnprobe.observe.instruments.batch_norms import BatchNorms
from bnprobe.observe.instruments.gradient_scaling import GradientScaling
from bnprobe.observe.instruments.gradient_watch import GradientWatch
from bnprobe.observe.instruments.instrument import Instrument, Surroundings
from bnprobe.observe.instruments.kurtosis import Kurtosis
from bnprobe.observe.instruments.local_gradients import LocalGradients
from bnprobe.observe.instruments.loss_checks import LossChecks
from bnprobe.observe.instruments.loss_rows import LossRows
from bnprobe.observe.instruments.moved_by_hand import MovedByHand
from bnprobe.observe.instruments.nonfinite_trace import NonfiniteTrace
from bnprobe.observe.instruments.parameter_groups import ParameterGroups
from bnprobe.observe.instruments.sample_axes import SampleAxes
from bnprobe.observe.instruments.second_derivatives import SecondDerivatives
from bnprobe.observe.instruments.signal_sizes import SignalSizes
from bnprobe.observe.instruments.stale_gradients import StaleGradients
from bnprobe.observe.instruments.targets import Targets
from bnprobe.observe.instruments.untrained_parameters import UntrainedParameters
from bnprobe.observe.instruments.updates import Updates

#: Settings and factors first: what is measured of an update is read with them.
CATALOGUE: tuple[Callable[[Surroundings], Instrument], ...] = (
    ParameterGroups,
    GradientScaling,
    GradientWatch,
    NonfiniteTrace,
    LossRows,
    StaleGradients,
    LossChecks,
    SampleAxes,
    Attention,
    Targets,
    SecondDerivatives,
    Updates,
    UntrainedParameters,
    MovedByHand,
    BatchNorms,
    Kurtosis,
    SignalSizes,
    LocalGradients,
)
