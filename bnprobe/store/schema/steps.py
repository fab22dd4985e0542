"""Variables of a step: its own, and those of its layers and parameters."""

from __future__ import annotations

from bnprobe.store.schema.variable import Variable


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


STEP = [
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
    Variable(
        "repeated_backwards", ("step",), "i4", "1", "those of them that an optimizer asked for again in its step, at weights it had moved"
    ),
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
        "1 where a loss that takes log-probabilities was given probabilities, 2 where the outputs of a layer, 3 where perhaps",
        "1: negative log-likelihood, or t ln t - t y, of Softmax or Sigmoid; 2: negative log-likelihood alone, of W x without a logarithm; "
        "3: the same, in a graph too long to be looked through",
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
        "samples_mixed",
        ("step",),
        "i4",
        "1",
        "1 where states of a recurrent layer were viewed as those of one sample each without being transposed, 2 where such a layer went "
        "through the samples and one of them was taken for the last step",
        "1: (layers, N, H) viewed as (N, layers H); 2: [:, i] of what a layer gave out whose second axis is the samples",
    ),
    Variable(
        "sequences_over_samples",
        ("step",),
        "i4",
        "1",
        "calls of recurrent layers and attention that took the samples for the sequence",
        "their first axis has the size of the loss's first, their second has the size of none of it",
    ),
    Variable(
        "views_over_samples",
        ("step",),
        "i4",
        "1",
        "views in the graph of the loss that took the axis of the samples to another place",
        "prod of the axes before the one of that size differs before and after",
    ),
    Variable(
        "attention_logit_bound",
        ("step",),
        "f4",
        "1",
        "bound of the logits of attention, the largest over attentions, heads and samples; at the steps of snapshots",
        "max_t |q_t|_2 max_s |k_s|_2 / sqrt(d), or the scale that was given",
        "Dehghani et al. 2023 (2302.05442)",
    ),
    Variable(
        "attention_logit_deviation",
        ("step",),
        "f4",
        "1",
        "deviation of such logits where queries and keys have independent directions, the largest over attentions",
        "rms(q) rms(k - mean_s k) sqrt(d) / sqrt(d), or the scale that was given",
    ),
    Variable("attention_logit_deviation_least", ("step",), "f4", "1", "the same, the smallest over attentions with keys that differ"),
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
    Variable(
        "cross_entropy",
        ("step",),
        "f8",
        "nats",
        "what the outputs score against the labels in the one (binary) cross-entropy of the loss, by the weights of its classes; missing "
        "where labels are too few to tell their shares",
        "-sum w_c ln p_c / sum w_c, whichever reduction the loss has",
    ),
    Variable(
        "constant_cross_entropy",
        ("step",),
        "f8",
        "nats",
        "the same of one constant answer: guessing by the shares of the labels, of a binary one by the mean of all targets",
        "-sum_c p_c ln p_c + (C - 1) / 2 N, p_c and N by the weights",
        "Miller 1955, Note on the bias of information estimates",
    ),
    Variable("error_target_smallest", ("step",), "f8", "as the target", "smallest target of an error right behind an activation with ends"),
    Variable("error_target_largest", ("step",), "f8", "as the target", "the largest of them"),
    Variable(
        "output_floor", ("step",), "f8", "as the target", "the least that this activation can give: 0 for a sigmoid or ReLU, -1 for tanh"
    ),
    Variable("output_ceiling", ("step",), "f8", "as the target", "the most that it can give"),
    Variable(
        "unreachable_error",
        ("step",),
        "f8",
        "square of the target",
        "squared error that remains because targets lie outside what this activation can give, whatever the weights",
        "mean (t - clamp(t))^2",
    ),
    Variable("half_results", ("step",), "i4", "1", "results of type float16 in the graph of the loss, at the steps of snapshots"),
    Variable(
        "evaluations",
        ("step",),
        "i4",
        "1",
        "forward passes of whole models without gradient between this step and the next; -1 where not counted",
    ),
    Variable("ranks_merged", ("step",), "i4", "1", "ranks whose recordings this step was merged from; missing in a file as it is recorded"),
    Variable("learning_rate", ("step", "group"), "f8", "1", "learning rate of each parameter group"),
    Variable("momentum", ("step", "group"), "f4", "1", "momentum (beta1 for Adam-like optimizers) of each parameter group"),
    Variable("weight_decay", ("step", "group"), "f4", "1", "weight decay of each parameter group"),
]

STEP_LAYER = [
    *_signal_variables("activation", "activation"),
    Variable(
        "activation_values",
        ("step", "layer"),
        "f8",
        "1",
        "values of a channel behind the moments of the signal, where several ranks are recorded: their weight in a merge",
        "N P",
    ),
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

STEP_PARAMETER = [
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
    Variable(
        "parameter_local_gradient_norm",
        ("step", "parameter"),
        "f4",
        "as the gradient",
        "of one of several ranks: norm of the gradient of its own samples, before ranks are averaged; infinite where that was not finite",
        "||dL_rank/dw||_2",
    ),
]
