"""The run file's schema: the one place where a variable's name, dimensions, type, unit, formula and source are written.

The writer creates exactly these variables, the reader reads exactly these, and the documentation prints this table.
A value that was not observed is NaN (or -1 in an index), never 0. Per-channel vectors of different lengths lie end to end along the
``channel`` axis, with ``channel_layer`` as the index (the "contiguous ragged array" of the CF conventions).
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_NAME = "bnprobe"
SCHEMA_VERSION = 1
CONVENTIONS = f"{SCHEMA_NAME}-{SCHEMA_VERSION}"

#: The axes, in the order in which a variable names them. All of them can grow while a run is recorded.
DIMENSIONS = {
    "step": "optimizer step, counted from 0",
    "snapshot": "a step at which every channel was stored",
    "layer": "a recorded module call, in order of first call (depth)",
    "channel": "one channel of one layer; layers are stored end to end",
    "parameter": "a trained parameter",
    "group": "a parameter group of an optimizer",
    "curvature": "a step at which the curvature of the loss was probed",
    "audit": "a step at which the forward was computed again, as evaluation would and with other samples",
    "figure": "a step at which what the figures of Bjorck et al. 2018 show was measured",
    "bin": "one bin of a histogram of a weight's gradient",
    "logit": "one entry of the gradient of the loss by the logits",
    "singular": "one singular value",
    "probe": "a line probe: one update, or one variant of it, followed further than the optimizer went",
    "probe_point": "one evaluation of the loss along a probe's line",
    "what_if": "the recorded training trained again from its tape: one rate, one remedy",
    "what_if_point": "one step of such a training",
    "what_if_layer": "a layer that is looked at in such trainings, in order of depth",
    "event": "something the recorder noticed or decided",
    "coverage": "something that could not be observed, and why",
}

TEXT = "text"


@dataclass(frozen=True)
class Variable:
    """One array of the run file.

    Attributes:
        name: its HDF5 name.
        dims: names of its axes.
        dtype: numpy type name, or ``TEXT`` for UTF-8 strings.
        units: SI unit, or "1" for a dimensionless quantity, or "as the signal".
        long_name: what it is, in words.
        formula: how it follows from the observed tensors.
        source: where the definition comes from.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    formula: str = ""
    source: str = "bnprobe"

    @property
    def missing(self) -> float | int | str:
        """What stands where nothing was observed."""
        if self.dtype == TEXT:
            return ""
        return float("nan") if self.dtype.startswith("f") else -1


def _signal_variables(prefix: str, what: str) -> list[Variable]:
    """The per-step, per-layer description of one kind of signal x, batch n, channel c, positions p."""
    dims = ("step", "layer")
    squared, signal = "square of the signal", "as the signal"
    msr = "Ruff et al. 2019 (1911.13173); exact decomposition, docs"
    return [
        Variable(
            f"{prefix}_common_energy",
            dims,
            "f8",
            squared,
            f"{what}: energy common to the whole batch (A)",
            "A = mean_c m_c^2 with m_c = mean_{n,p} x",
            msr,
        ),
        Variable(
            f"{prefix}_between_energy",
            dims,
            "f8",
            squared,
            f"{what}: energy constant in space that differs between samples (B)",
            "B = mean_c var_n(m_nc) with m_nc = mean_p x",
            msr,
        ),
        Variable(
            f"{prefix}_within_energy",
            dims,
            "f8",
            squared,
            f"{what}: energy that varies in space within a sample (W)",
            "W = mean_{n,c} var_p(x)",
            msr,
        ),
        Variable(f"{prefix}_rms", dims, "f4", signal, f"{what}: root mean square", "sqrt(A + B + W)"),
        Variable(f"{prefix}_min", dims, "f4", signal, f"{what}: smallest value", "min x"),
        Variable(f"{prefix}_max", dims, "f4", signal, f"{what}: largest value", "max x"),
        Variable(f"{prefix}_nonfinite", dims, "f4", "count", f"{what}: number of NaN or infinite values", "sum [x is not finite]"),
        Variable(f"{prefix}_zeros", dims, "f4", "1", f"{what}: share of values that are exactly zero", "mean [x = 0]"),
    ]


_STEP = [
    Variable("step", ("step",), "i8", "1", "optimizer step, counted from 0"),
    Variable(
        "loss",
        ("step",),
        "f8",
        "as the loss",
        "loss whose gradient the step follows, unscaled: summed over micro-steps, as their gradients are",
        "sum over the step's backward calls of the scalar given to backward",
    ),
    Variable("wall_time", ("step",), "f8", "s", "time since recording began, at the end of the step"),
    Variable("step_seconds", ("step",), "f8", "s", "duration of the step, the recorder's share included"),
    Variable("observer_seconds", ("step",), "f8", "s", "time the recorder itself took within the step"),
    Variable(
        "batch_size",
        ("step",),
        "f4",
        "samples",
        "samples of the step, over its micro-steps",
        "size of the batch axis of the model's first layer",
    ),
    Variable("micro_steps", ("step",), "i4", "1", "backward calls of the step"),
    Variable("skipped", ("step",), "i4", "1", "1 where a gradient scaler skipped the update"),
    Variable("layers_observed", ("step",), "i4", "1", "1 where layers and parameters were measured at this step"),
    Variable("clip_norm", ("step",), "f8", "as the gradient", "total gradient norm before the script clipped it"),
    Variable("clip_limit", ("step",), "f8", "as the gradient", "the norm that the script clipped it to"),
    Variable(
        "gradient_norm",
        ("step",),
        "f8",
        "as the gradient",
        "norm of all gradients that the update used; at steps whose layers are not measured as often as that costs little",
        "||g||_2 over all parameters",
    ),
    Variable(
        "loss_rows",
        ("step",),
        "i4",
        "1",
        "first axis of the nearest result behind the loss that has one: samples, or tokens side by side, summed over micro-steps",
    ),
    Variable(
        "evaluation_batch_size",
        ("step",),
        "f4",
        "samples",
        "samples of the evaluation batch of batch_norm_evaluation_gap, which came between this step and the next",
    ),
    Variable("loss_scale", ("step",), "f8", "1", "factor of the gradient scaler; missing where there is none"),
    Variable(
        "stale_gradient_norm",
        ("step",),
        "f4",
        "as the gradient",
        "gradient already in .grad when the step's first backward began; 0 where it had been cleared",
        "||g||_2 over the parameters that the step updates",
    ),
    Variable(
        "modules_training",
        ("step",),
        "i4",
        "1",
        "calls, in forwards that train, of modules that behave differently in training (dropout, batch norm), in training mode; at steps "
        "whose layers are not measured, of what ran at the last measured step, in the modes of this one",
    ),
    Variable("modules_evaluating", ("step",), "i4", "1", "the same in evaluation mode"),
    Variable("model_training", ("step",), "i4", "1", "1 where the model itself was in training mode, 0 in evaluation mode"),
    Variable(
        "softmax_twice",
        ("step",),
        "i4",
        "1",
        "1 where a loss that applies softmax (or the logistic function) was given values to which it had been applied already",
        "LogSoftmax of Softmax, or binary cross-entropy with logits of Sigmoid, in the graph of the loss",
    ),
    Variable("loss_cut_off", ("step",), "i4", "1", "1 where no parameter was behind the loss: a number made a tensor again"),
    Variable(
        "loss_pairs_all",
        ("step",),
        "i4",
        "1",
        "1 where the loss compared every output with every target, as (N, 1) against (N,) does",
        "N numbers become N x N in the graph of the loss, against something without gradient",
    ),
    Variable("loss_rectified", ("step",), "i4", "1", "1 where logits went through a ReLU into a loss that takes logits"),
    Variable(
        "loss_of_probabilities",
        ("step",),
        "i4",
        "1",
        "1 where a loss that takes log-probabilities was given probabilities",
        "negative log-likelihood, or t ln t - t y, of Softmax or Sigmoid",
    ),
    Variable("loss_of_one_class", ("step",), "i4", "1", "1 where the log-softmax of the loss has a single class"),
    Variable("softmax_trivial", ("step",), "i4", "1", "softmaxes in the graph of the loss over an axis of size one: they give one"),
    Variable(
        "softmax_over_samples",
        ("step",),
        "i4",
        "1",
        "softmaxes in the graph of the loss over the axis of the batch",
        "axis 0, of the size that the first axis of output and target has",
    ),
    Variable(
        "flat_second_derivatives",
        ("step",),
        "i4",
        "1",
        "derivatives, by data, of a derivative through ReLU or another piecewise linear activation: zero",
    ),
    Variable("target_rms", ("step",), "f8", "as the target", "root mean square of the targets of a squared, smooth or Huber error"),
    Variable(
        "target_variance",
        ("step",),
        "f8",
        "square of the target",
        "how targets differ between samples: the squared error of the best constant prediction",
        "mean over places of var_n t (unbiased)",
    ),
    Variable(
        "output_variance", ("step",), "f8", "square of the target", "the same of the outputs", "mean over places of var_n y (unbiased)"
    ),
    Variable("prediction_error", ("step",), "f8", "square of the target", "squared error of the outputs", "mean (y - t)^2"),
    Variable("target_smallest", ("step",), "f8", "1", "smallest target of the step's binary cross-entropies"),
    Variable("target_largest", ("step",), "f8", "1", "the largest of them"),
    Variable("target_labels", ("step",), "f8", "count", "labels that the cross-entropy of the step counted, those to be ignored left out"),
    Variable("target_classes", ("step",), "f8", "count", "different classes among the labels of the step's cross-entropy"),
    Variable("target_class", ("step",), "f8", "1", "the most frequent of them"),
    Variable(
        "target_entropy", ("step",), "f8", "nats", "their entropy, the cross-entropy of guessing by their shares", "-sum_c p_c ln p_c"
    ),
    Variable("half_results", ("step",), "i4", "1", "results of type float16 in the graph of the loss, at the steps of snapshots"),
    Variable(
        "evaluations",
        ("step",),
        "i4",
        "1",
        "forward passes of whole models without gradient between this step and the next; -1 where not counted",
    ),
    Variable("learning_rate", ("step", "group"), "f8", "1", "learning rate of each parameter group"),
    Variable("momentum", ("step", "group"), "f4", "1", "momentum (beta1 for Adam-like optimizers) of each parameter group"),
    Variable("weight_decay", ("step", "group"), "f4", "1", "weight decay of each parameter group"),
]

_STEP_LAYER = [
    *_signal_variables("activation", "activation"),
    Variable(
        "activation_dead",
        ("step", "layer"),
        "f4",
        "1",
        "share of channels that are zero for the whole batch",
        "mean_c [x = 0 for all n, p]",
    ),
    Variable(
        "activation_kurtosis",
        ("step", "layer"),
        "f4",
        "1",
        "kurtosis of the channels' root mean squares: 1 where all are of one size, C where one carries everything",
        "mean_c s_c^4 / (mean_c s_c^2)^2 with s_c^2 = m_c^2 + V_c",
        "He et al. 2024 (2405.19279)",
    ),
    Variable(
        "activation_outlier_channel",
        ("step", "layer"),
        "f4",
        "1",
        "the channel of largest root mean square, counted from 0",
        "argmax_c s_c",
    ),
    *_signal_variables("activation_gradient", "activation gradient"),
    Variable(
        "batch_norm_values",
        ("step", "layer"),
        "f4",
        "1",
        "values of a channel from which a batch norm took its batch statistics; missing where it used the running ones",
        "N P",
    ),
    Variable(
        "batch_norm_gap",
        ("step", "layer"),
        "f4",
        "1",
        "rms of what evaluation mode would make of a batch norm's batch, less what training mode made of it; before scale and shift",
        "sqrt(mean_c [((m_c - r_c) / s_c)^2 + v_c (1 / s_c - 1 / d_c)^2]) with r_c, s_c^2 - eps the running mean and variance, "
        "m_c, v_c those of the batch, d_c^2 = v_c + eps",
        "mean square over the batch of (x - r_c) / s_c - (x - m_c) / d_c, split into mean and variance",
    ),
    Variable(
        "batch_norm_evaluation_gap",
        ("step", "layer"),
        "f4",
        "1",
        "the same for a batch of an evaluation after this step: how far its signal is from what the running statistics were gathered from",
        "as batch_norm_gap, with m_c, v_c of the evaluation batch",
    ),
]

_STEP_PARAMETER = [
    Variable(
        "parameter_gradient_norm",
        ("step", "parameter"),
        "f4",
        "as the gradient",
        "norm of the gradient the optimizer used, unscaled",
        "||g||_2",
    ),
    Variable("weight_norm", ("step", "parameter"), "f4", "as the weight", "norm of the parameter before the update", "||w||_2"),
    Variable(
        "update_lost",
        ("step", "parameter"),
        "f4",
        "1",
        "of a parameter in bfloat16 or float16: share of its elements with a gradient that the update left as they were",
        "mean [w_after = w_before] over g != 0",
    ),
    Variable("update_norm", ("step", "parameter"), "f4", "as the weight", "norm of the step actually taken", "||w_after - w_before||_2"),
]

_SNAPSHOT = [
    Variable("snapshot", ("snapshot",), "i8", "1", "step at which every channel was stored"),
    Variable("channel_mean", ("snapshot", "channel"), "f4", "as the signal", "mean of one channel's activation", "m_c = mean_{n,p} x"),
    Variable(
        "channel_variance",
        ("snapshot", "channel"),
        "f4",
        "square of the signal",
        "variance of one channel's activation (biased)",
        "v_c = mean_{n,p} (x - m_c)^2",
    ),
    Variable(
        "channel_gradient_mean",
        ("snapshot", "channel"),
        "f4",
        "as the gradient",
        "mean of one channel's activation gradient",
        "mean_{n,p} dL/dx",
    ),
    Variable(
        "channel_gradient_variance",
        ("snapshot", "channel"),
        "f4",
        "square of the gradient",
        "variance of one channel's activation gradient (biased)",
        "mean_{n,p} (dL/dx - mean)^2",
    ),
    Variable(
        "kernel_slice_mean",
        ("snapshot", "parameter"),
        "f4",
        "1",
        "worst slice mean of a convolution's kernel larger than 1x1, over its rms, after the update",
        "max_{o,i} |W_bar_oi| / sqrt(mean W^2) with W_bar_oi = mean_p W_oip",
        "Ruff et al. 2019 (1911.13173)",
    ),
    Variable(
        "kernel_cmrr",
        ("snapshot", "parameter"),
        "f4",
        "1",
        "common-mode rejection ratio of a convolution's kernel larger than 1x1, after the update; infinite without a mean",
        "||W - W_bar||_2 / ||W_bar||_2",
        "Ruff et al. 2019 (1911.13173)",
    ),
    Variable(
        "row_difference",
        ("snapshot", "parameter"),
        "f4",
        "1",
        "how far a weight's first row and the two after it differ after the update; 0 where units are copies of each other",
        "max(||w_0 - w_1||, ||w_0 - w_2||) / max(||w_0||, ||w_1||, ||w_2||)",
        "units with equal weights have equal gradients and stay equal (Goodfellow, Bengio, Courville 2016, section 8.4)",
    ),
    Variable(
        "frozen_elements",
        ("snapshot", "layer"),
        "f8",
        "count",
        "elements of the module's own parameters that ask for no gradient",
        "sum of sizes with requires_grad false",
    ),
    Variable(
        "forgotten_elements",
        ("snapshot", "layer"),
        "f8",
        "count",
        "elements of the module's own parameters that ask for a gradient and are in no optimizer",
        "sum of sizes with requires_grad true, in no parameter group",
    ),
]

_HESSIAN = "Hessian H of the step's loss, the sum of what was handed to its backward calls"
_CURVATURE = [
    Variable("curvature", ("curvature",), "i8", "1", "step at which the curvature was probed"),
    Variable(
        "curvature_sharpness",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "sharpness: largest eigenvalue of the " + _HESSIAN + "; missing where the optimizer's metric is another and was searched instead",
        "lambda_max(H) by Lanczos, on the graph of the step's first backward, times curvature_micro_steps",
        "Cohen et al. 2021 (2103.00065)",
    ),
    Variable(
        "curvature_residual",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "residual of the sharpness: an eigenvalue of H lies at most this far from it",
        "|beta s_k|",
        "Parlett 1998, 13.2",
    ),
    Variable(
        "curvature_lowest",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "smallest Ritz value: H has an eigenvalue at or below it",
        "smallest eigenvalue of H restricted to the Krylov space",
    ),
    Variable(
        "curvature_preconditioned",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "sharpness in the optimizer's metric, to be compared with the threshold; equal to the sharpness for SGD with one group",
        "threshold scale times lambda_max(D^1/2 (H + g) D^1/2), D = lr / (c P) for each weight",
        "Cohen et al. 2022 (2207.14484); derivation in bnprobe/measure/thresholds.py",
    ),
    Variable(
        "curvature_preconditioned_residual",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "residual of the sharpness in the optimizer's metric",
        "|beta s_k|",
    ),
    Variable(
        "curvature_threshold",
        ("curvature",),
        "f8",
        "loss per square of the weight",
        "what the sharpness in the optimizer's metric must stay below for a stable step, at the rate in use",
        "c / lr less what weight decay takes; c = 2 (SGD), 2 + 2b (momentum), (2 + 2b1) / (1 - b1) (Adam)",
        "Cohen et al. 2021 (2103.00065); derivation in bnprobe/measure/thresholds.py",
    ),
    Variable("curvature_learning_rate", ("curvature",), "f8", "1", "learning rate in use, of the first probed parameter's group"),
    Variable(
        "curvature_limit",
        ("curvature",),
        "f8",
        "1",
        "learning rate at which the sharpness would be at its threshold, all groups' rates scaled together",
        "lr such that lambda_max(D^1/2 (H + g) D^1/2) = 1",
    ),
    Variable(
        "curvature_settled",
        ("curvature",),
        "f8",
        "1",
        "share of their memory that the optimizer's second moments have seen, of the weight with the least; below 1 the limit is no limit",
        "t (1 - b2) after t steps of the optimizer (Adam), t (1 - alpha) (RMSprop); missing without second moments that forget",
    ),
    Variable("curvature_products", ("curvature",), "i4", "1", "Hessian-vector products of the probe"),
    Variable(
        "curvature_micro_steps",
        ("curvature",),
        "i4",
        "1",
        "backward calls whose gradients add up to the step's; where above 1, the first one's Hessian is taken for all of them",
    ),
    Variable("curvature_seconds", ("curvature",), "f8", "s", "duration of the probe"),
    Variable("curvature_reason", ("curvature",), TEXT, "", "why there is no number, or no threshold; else empty"),
]

_AUDIT = [
    Variable("audit", ("audit",), "i8", "1", "step whose forward was computed again"),
    Variable("audit_loss", ("audit",), "f8", "as the loss", "loss that was descended"),
    Variable(
        "audit_loss_running",
        ("audit",),
        "f8",
        "as the loss",
        "the same of the same batch, every batch norm on its running statistics as they were before the batch; dropout as it was",
    ),
    Variable(
        "audit_loss_evaluation", ("audit",), "f8", "as the loss", "that, and without dropout: what evaluation would make of the batch"
    ),
    Variable("audit_replay_error", ("audit",), "f8", "1", "how far the loss computed again is from the one that was descended, relative"),
    Variable("audit_seconds", ("audit",), "f8", "s", "duration of the audit"),
    Variable("audit_samples", ("audit",), "f4", "samples", "samples of the batch, of which one was exchanged for another"),
    Variable("audit_reason", ("audit",), TEXT, "", "why there is no number; else empty"),
    Variable(
        "audit_evaluation_gap",
        ("audit", "layer"),
        "f4",
        "1",
        "how far the signal is off where all batch norms use their running statistics, on the same batch; dropout as it was",
        "rms over eight samples of y_running - y, over the deviation of y",
    ),
    Variable(
        "audit_coupling",
        ("audit", "layer"),
        "f4",
        "1",
        "how far the signals of eight samples move when another sample of the batch is exchanged",
        "rms over other samples of y' - y, over the deviation of y",
    ),
    Variable(
        "audit_dropout_gap",
        ("audit", "layer"),
        "f4",
        "1",
        "at a batch norm: how far statistics of its input without dropout are from those with it",
        "sqrt(mean_c [((m' - m) / s)^2 + (s' / s - 1)^2]), m, s with and m', s' without dropout",
        "Li et al. 2019 (1801.05134)",
    ),
    Variable(
        "audit_values",
        ("audit", "layer"),
        "f4",
        "1",
        "at a norm: values from which each of its statistics is taken",
        "numel(x) / statistics",
    ),
    Variable("audit_time", ("audit", "layer"), "f4", "1", "at a norm: its share of the time of the forward's operations"),
    Variable("audit_memory", ("audit", "layer"), "f4", "1", "at a norm: its share of the bytes that the forward's operations gave out"),
]

_UBN = "Bjorck et al. 2018 (1806.02375)"
_FIGURES = [
    Variable("figure", ("figure",), "i8", "1", "step at which it was measured"),
    Variable(
        "sign_coherence",
        ("figure", "parameter"),
        "f4",
        "1",
        "of a weight of a convolution or a linear layer: how far contributions of samples and places to its gradient agree in sign",
        "sum_w |sum_bxy d| / sum_w sum_bxy |d|, d = delta a, of the first call",
        f"{_UBN}, Table 1",
    ),
    Variable(
        "gradient_kurtosis",
        ("figure", "parameter"),
        "f4",
        "1",
        "kurtosis of the entries of a weight's gradient; 3 for a Gaussian",
        "mean (g - mean)^4 / var^2",
        f"{_UBN}, Fig 2",
    ),
    Variable(
        "gradient_tail_exponent",
        ("figure", "parameter"),
        "f4",
        "1",
        "Hill's exponent of the largest one per cent of the entries: the density falls as |g|^-(a + 1)",
        "a = 1 / mean_{i <= k} ln(|g|_(i) / |g|_(k+1)), k = n / 100",
        "Hill 1975, Annals of Statistics 3 (5)",
    ),
    Variable("gradient_tail_low", ("figure", "parameter"), "f4", "1", "smallest such exponent over k = n / 200, n / 100, n / 50, n / 20"),
    Variable("gradient_tail_high", ("figure", "parameter"), "f4", "1", "the largest of them"),
    Variable("gradient_rms", ("figure", "parameter"), "f4", "as the gradient", "root mean square of the entries", "sqrt(mean g^2)"),
    Variable("gradient_largest", ("figure", "parameter"), "f4", "as the gradient", "largest entry", "max |g|"),
    Variable("bin", ("bin",), "i4", "1", "index of the bin"),
    Variable("bin_step", ("bin",), "i8", "1", "step of its histogram"),
    Variable("bin_parameter", ("bin",), "i4", "1", "index of the weight"),
    Variable("bin_place", ("bin",), "i4", "1", "place in the histogram: 81 bins of equal width from -gradient_largest to gradient_largest"),
    Variable("bin_count", ("bin",), "f8", "count", "entries in it"),
    Variable("logit", ("logit",), "i4", "1", "index of the entry"),
    Variable("logit_step", ("logit",), "i8", "1", "step"),
    Variable("logit_samples", ("logit",), "i4", "samples", "samples of the batch"),
    Variable("logit_sample", ("logit",), "i4", "1", "sample of the batch"),
    Variable("logit_class", ("logit",), "i4", "1", "output of the last layer"),
    Variable("logit_gradient", ("logit",), "f8", "as the gradient", "gradient of the loss by it", "dL/dz", f"{_UBN}, Fig 6"),
    Variable("singular", ("singular",), "i4", "1", "index of the singular value"),
    Variable("singular_step", ("singular",), "i8", "1", "step"),
    Variable("singular_of", ("singular",), TEXT, "", "of which matrix", "", f"{_UBN}, section 4"),
    Variable("singular_sample", ("singular",), "i4", "1", "sample of the batch; missing for weights"),
    Variable("singular_value", ("singular",), "f8", "1", "singular value, largest first"),
]

_LAYER = [
    Variable("layer", ("layer",), TEXT, "", "dotted name; ':input' marks a measured input, ':2' a second call in a forward"),
    Variable("layer_type", ("layer",), TEXT, "", "class name of the module"),
    Variable(
        "layer_kind",
        ("layer",),
        TEXT,
        "",
        "convolution, linear, normalisation, activation, attention, recurrent, embedding, dropout, pooling or other",
    ),
    Variable(
        "layer_role",
        ("layer",),
        TEXT,
        "",
        "output: the module's output; input: a signal no module produced, as the module received it",
    ),
    Variable("layer_depth", ("layer",), "i4", "1", "order of first call within a forward"),
    Variable("layer_call", ("layer",), "i4", "1", "which call of the module within one forward, counted from 0"),
    Variable("layer_model", ("layer",), "i4", "1", "which model (root module) it belongs to"),
    Variable("layer_channels", ("layer",), "i4", "1", "number of channels"),
    Variable("layer_dtype", ("layer",), TEXT, "", "type of the signal's numbers when it was first measured, such as float16"),
    Variable("layer_made_by", ("layer",), TEXT, "", "operation that made a measured input, such as tanh; empty for outputs and for data"),
    Variable("layer_repeat", ("layer",), "i4", "1", "which call of the module within its own forward, counted from 0, as first seen"),
    Variable("channel_layer", ("channel",), "i4", "1", "index of the layer the channel belongs to"),
    Variable("channel", ("channel",), "i4", "1", "index of the channel within its layer"),
]

_PARAMETER = [
    Variable("parameter", ("parameter",), TEXT, "", "dotted name of the parameter"),
    Variable("parameter_layer", ("parameter",), TEXT, "", "dotted name of the module that owns it"),
    Variable("parameter_shape", ("parameter",), TEXT, "", "shape, as text"),
    Variable("parameter_size", ("parameter",), "i8", "1", "number of elements"),
    Variable("parameter_group", ("parameter",), "i4", "1", "parameter group that trains it"),
    Variable("parameter_dtype", ("parameter",), TEXT, "", "type of its numbers, such as float32"),
    Variable("group", ("group",), TEXT, "", "optimizer class, optimizer number and group number"),
]

_CRITICAL_SHARPNESS = "Kalra 2026 (2601.16979); Bjorck et al. 2018 (1806.02375), Fig 3"

_PROBE = [
    Variable("probe", ("probe",), "i4", "1", "index of the probe"),
    Variable("probe_step", ("probe",), "i8", "1", "step whose update d was followed"),
    Variable("probe_optimizer", ("probe",), TEXT, "", "class name of the optimizer that made the update"),
    Variable(
        "probe_variant",
        ("probe",),
        TEXT,
        "",
        "taken: the update as the optimizer took it; otherwise the remedy whose projection was applied to it",
    ),
    Variable("probe_learning_rate", ("probe",), "f8", "1", "learning rate of the optimizer's first group at the update; limit = s x rate"),
    Variable("probe_loss", ("probe",), "f8", "as the loss", "loss at s = 0: of the step's last backward, unscaled", "L(theta)"),
    Variable(
        "probe_replay_error",
        ("probe",),
        "f8",
        "1",
        "how far the loss computed again at s = 0 is from the one that was descended; 0 where they are equal to the last bit",
        "|L_replayed(theta) - L(theta)| / |L(theta)|",
    ),
    *(
        Variable(f"probe_{name}_{end}", ("probe",), "f8", "step taken", f"{what}: {meaning}", formula, _CRITICAL_SHARPNESS)
        for name, what, formula in (
            ("critical", "smallest step that raises the loss", "min {s > 0: r(s) > 1}"),
            (
                "divergence",
                "smallest step after which the loss is above 1000 times its value, or not finite",
                "min {s > 0: r(s) > 10^3 or not finite}",
            ),
        )
        for end, meaning in (
            ("low", "it lies above; 0 if no smaller step was evaluated"),
            ("high", "it lies at or below; infinite if none was found up to the lower bound"),
        )
    ),
    Variable("probe_forwards", ("probe",), "i4", "1", "forwards spent, the one at s = 0 included (shared by the variants of a step)"),
    Variable("probe_seconds", ("probe",), "f8", "s", "time spent"),
    Variable("probe_reason", ("probe",), TEXT, "", "why there is no number; empty where there is one"),
    Variable("probe_point", ("probe_point",), "i4", "1", "index of the evaluation"),
    Variable("probe_point_probe", ("probe_point",), "i4", "1", "index of the probe it belongs to"),
    Variable("probe_point_s", ("probe_point",), "f8", "step taken", "how far along the update; 1 is the step that was taken"),
    Variable(
        "probe_point_ratio",
        ("probe_point",),
        "f8",
        "1",
        "loss over the loss at s = 0; infinite where the loss is not finite",
        "r(s) = 1 + (L(theta + s d) - L(theta)) / |L(theta)|, which is L(theta + s d) / L(theta) for a positive loss",
        _CRITICAL_SHARPNESS,
    ),
    Variable(
        "probe_channel_mean",
        ("probe_point", "channel"),
        "f4",
        "as the signal",
        "mean of one channel's activation at theta + s d",
        "m_c = mean_{n,p} x",
        "Bjorck et al. 2018 (1806.02375), Fig 4",
    ),
    Variable(
        "probe_channel_variance",
        ("probe_point", "channel"),
        "f4",
        "square of the signal",
        "variance of one channel's activation at theta + s d (biased)",
        "v_c = mean_{n,p} (x - m_c)^2",
        "Bjorck et al. 2018 (1806.02375), Fig 4",
    ),
]

_WHAT_IF = [
    Variable("what_if", ("what_if",), "i4", "1", "index of the training"),
    Variable("what_if_remedy", ("what_if",), TEXT, "", "the remedy, as typed after --remedy; none for the training as it is"),
    Variable("what_if_start", ("what_if",), "i8", "1", "the recorded step with which the stretch that it trains again begins"),
    Variable("what_if_factor", ("what_if",), "f8", "1", "factor on every learning rate"),
    Variable("what_if_rate", ("what_if",), "f8", "1", "that times the largest rate of any group within the stretch"),
    Variable("what_if_grid", ("what_if",), "i4", "1", "1 where the factor is one of the search for the limit, 0 of the curves"),
    Variable("what_if_outcome", ("what_if",), TEXT, "", "trains, stuck or diverges"),
    Variable("what_if_stuck_by", ("what_if",), TEXT, "", "of one that is stuck: slow, risen or level"),
    Variable("what_if_reason", ("what_if",), TEXT, "", "the numbers that decided, in words"),
    Variable("what_if_point", ("what_if_point",), "i4", "1", "index of the step of a training"),
    Variable("what_if_point_trial", ("what_if_point",), "i4", "1", "index of the training it belongs to"),
    Variable("what_if_point_step", ("what_if_point",), "i4", "1", "its step, counted from 0 where the stretch begins"),
    Variable("what_if_point_loss", ("what_if_point",), "f8", "as the loss", "loss of the step"),
    Variable("what_if_layer", ("what_if_layer",), TEXT, "", "name of a layer whose output is looked at, before any activation function"),
    Variable(
        "what_if_point_rms",
        ("what_if_point", "what_if_layer"),
        "f4",
        "as the signal",
        "root mean square of the layer's output; NaN where it was not looked at",
        "sqrt(mean x^2)",
    ),
    Variable(
        "what_if_point_common_mode",
        ("what_if_point", "what_if_layer"),
        "f4",
        "1",
        "share of its energy that is the same for the whole batch",
        "A / (A + B + W)",
    ),
]

_NOTES = [
    Variable("event", ("event",), "i4", "1", "index of the event"),
    Variable("event_step", ("event",), "i8", "1", "step of the event"),
    Variable("event_kind", ("event",), TEXT, "", "divergence, warning, schedule, remedy, fault, model or clock"),
    Variable("event_text", ("event",), TEXT, "", "what happened, in words"),
    Variable("coverage", ("coverage",), "i4", "1", "index of the entry"),
    Variable("coverage_subject", ("coverage",), TEXT, "", "what could not be observed"),
    Variable("coverage_reason", ("coverage",), TEXT, "", "why, and what would help"),
    Variable("coverage_count", ("coverage",), "i8", "1", "how often it happened"),
]

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in [
        *_STEP,
        *_STEP_LAYER,
        *_STEP_PARAMETER,
        *_SNAPSHOT,
        *_CURVATURE,
        *_AUDIT,
        *_FIGURES,
        *_LAYER,
        *_PARAMETER,
        *_PROBE,
        *_WHAT_IF,
        *_NOTES,
    ]
}

#: Every axis has a variable of its own name; these become HDF5 dimension scales, which xarray reads as coordinates.
COORDINATES = tuple(DIMENSIONS)


def variables_along(dimension: str) -> list[Variable]:
    """Return the variables whose first axis is ``dimension``, in schema order."""
    return [variable for variable in VARIABLES.values() if variable.dims[0] == dimension]
