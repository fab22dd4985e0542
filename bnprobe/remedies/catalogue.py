"""Every remedy there is: its name, what it does and touches, its settings and its source. Readable without torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from bnprobe.remedies import settings as s


@dataclass(frozen=True)
class Entry:
    """One remedy as a person knows it.

    Attributes:
        name: what is typed after ``--remedy``.
        summary: what it does, in one line.
        touches: which parts of a model or of its training it changes.
        source: where it was published.
        settings: the dataclass of its settings.
        place: ``module:class`` below ``bnprobe.remedies``.
    """

    name: str
    summary: str
    touches: str
    source: str
    settings: type[s.Settings]
    place: str

    def load(self) -> Any:
        """Return the remedy's class, importing it and torch."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(f"bnprobe.remedies.{module}"), name)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "msr",
        "mean shift rejection: kernels start with zero spatial mean and stay there",
        "convolution weights at the start; gradients and updates of kernels larger than 1x1, the first excluded",
        "Ruff, Beck, Bach 2019, arXiv 1911.13173",
        s.MeanShiftRejectionSettings,
        "mean_shift_rejection:MeanShiftRejection",
    ),
    Entry(
        "msr-published",
        "mean shift rejection with all that its authors' code does beside it",
        "convolutions as msr with scales, their biases and weight decay, the classifier, inputs of residual blocks",
        "Ruff, Beck, Bach 2019, arXiv 1911.13173, public code",
        s.PublishedMeanShiftRejectionSettings,
        "published_mean_shift_rejection:PublishedMeanShiftRejection",
    ),
    Entry(
        "noise",
        "multiply signals by noise that leaves their mean over the batch alone",
        "inputs of residual blocks, in training only",
        "Ruff, Beck, Bach 2019, arXiv 1911.13173",
        s.NoiseSettings,
        "noise:Noise",
    ),
    Entry(
        "batch-norm",
        "normalise each channel by its mean and variance over the batch",
        "outputs of linear, convolutional, recurrent and attention layers, but for answers",
        "Ioffe, Szegedy 2015, arXiv 1502.03167",
        s.BatchNormSettings,
        "batch_norm:AddedBatchNorm",
    ),
    Entry(
        "layer-norm",
        "normalise each sample by its own mean and variance",
        "outputs of linear, convolutional, recurrent and attention layers, but for answers and single outputs",
        "Ba, Kiros, Hinton 2016, arXiv 1607.06450",
        s.AddedNormSettings,
        "layer_norm:LayerNorm",
    ),
    Entry(
        "group-norm",
        "normalise groups of channels of each sample by their own mean and variance",
        "outputs of linear, convolutional, recurrent and attention layers, but for answers and single outputs",
        "Wu, He 2018, arXiv 1803.08494",
        s.GroupNormSettings,
        "group_norm:GroupNorm",
    ),
    Entry(
        "rms-norm",
        "divide each sample by its own root mean square",
        "outputs of linear, convolutional, recurrent and attention layers, but for answers and single outputs",
        "Zhang, Sennrich 2019, arXiv 1910.07467",
        s.AddedNormSettings,
        "rms_norm:RmsNorm",
    ),
    Entry(
        "no-norm",
        "switch normalisation off and keep its affine part",
        "batch, layer, group, instance and RMS norms",
        "Bjorck et al. 2018, arXiv 1806.02375, compares with and without",
        s.NoNormSettings,
        "no_norm:NoNorm",
    ),
    Entry(
        "weight-norm",
        "learn length and direction of each unit's weights apart: w = g v / ||v||",
        "weights of convolutions and linear layers",
        "Salimans, Kingma 2016, arXiv 1602.07868",
        s.WeightNormSettings,
        "weight_norm:WeightNorm",
    ),
    Entry(
        "clip-norm",
        "scale the gradient down where its norm exceeds a limit",
        "all gradients of an optimizer together",
        "Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063",
        s.ClipNormSettings,
        "clip_norm:ClipNorm",
    ),
    Entry(
        "clip-value",
        "cut every element of the gradient off at a limit",
        "all gradients, element by element",
        "Mikolov 2012, Statistical Language Models Based on Neural Networks (thesis)",
        s.ClipValueSettings,
        "clip_value:ClipValue",
    ),
    Entry(
        "warm-up",
        "begin with a small learning rate that rises linearly to the script's own",
        "the rates of every parameter group, during each step alone",
        "Goyal et al. 2017, arXiv 1706.02677",
        s.WarmUpSettings,
        "warm_up:WarmUp",
    ),
    Entry(
        "agc",
        "adaptive gradient clipping: a unit's gradient stays small beside its weights",
        "all gradients unit by unit, linear layers that give the answer excluded",
        "Brock et al. 2021, arXiv 2102.06171",
        s.AdaptiveClippingSettings,
        "agc:AdaptiveClipping",
    ),
    Entry(
        "dropout",
        "drop activations at random",
        "outputs of activation modules, in training only",
        "Srivastava et al. 2014, JMLR 15",
        s.DropoutSettings,
        "dropout:AddedDropout",
    ),
    Entry(
        "gradient-centralisation",
        "take the mean over a whole filter out of its gradient",
        "gradients of convolution and linear weights",
        "Yong et al. 2020, arXiv 2004.01461",
        s.GradientCentralisationSettings,
        "gradient_centralisation:GradientCentralisation",
    ),
    Entry(
        "weight-standardisation",
        "train with filters of zero mean and fixed variance, scaled by fan-in",
        "convolution weights",
        "Qiao et al. 2019, arXiv 1903.10520; Brock, De, Smith 2021, arXiv 2101.08692",
        s.WeightStandardisationSettings,
        "weight_standardisation:WeightStandardisation",
    ),
    Entry(
        "spectral-norm",
        "divide weights by their largest singular value",
        "weights of convolutions and linear layers",
        "Miyato et al. 2018, arXiv 1802.05957; Subramanian, Chong 2019, arXiv 1907.04003",
        s.SpectralNormSettings,
        "spectral_norm:SpectralNorm",
    ),
    Entry(
        "skip-init",
        "residual branches start switched off: x + a f(x) with a = 0",
        "last layer of each residual branch",
        "De, Smith 2020, arXiv 2002.10444",
        s.SkipInitSettings,
        "skip_init:SkipInit",
    ),
    Entry(
        "fixup",
        "residual branches start at zero and small: initialisation in place of normalisation",
        "weights of residual branches and of the classifier at the start; scalar shifts and factors in the branches",
        "Zhang, Dauphin, Ma 2019, arXiv 1901.09321",
        s.FixupSettings,
        "fixup:Fixup",
    ),
    Entry(
        "deep-norm",
        "a heavier shortcut where a residual sum is normalised, LN(a x + f(x)), and branches that start small",
        "residual branches whose sum is normalised; weights of linear layers and attention in them at the start",
        "Wang et al. 2022, arXiv 2203.00555",
        s.DeepNormSettings,
        "deep_norm:DeepNorm",
    ),
    Entry(
        "qk-norm",
        "normalise queries and keys, so that attention logits cannot grow without bound",
        "queries and keys of nn.MultiheadAttention, and of modules that call scaled_dot_product_attention",
        "Henry et al. 2020, arXiv 2010.04245; Dehghani et al. 2023, arXiv 2302.05442",
        s.QueryKeyNormSettings,
        "query_key_norm:QueryKeyNorm",
    ),
    Entry(
        "mup-output",
        "weights of the answer count as base / inputs, so that an update moves wide and narrow networks' logits alike",
        "what goes into the linear layers that give the answer",
        "Yang, Hu et al. 2022, arXiv 2203.03466",
        s.OutputMultiplierSettings,
        "output_multiplier:OutputMultiplier",
    ),
)


def names() -> list[str]:
    """Return what can follow ``--remedy``."""
    return [entry.name for entry in ENTRIES]
