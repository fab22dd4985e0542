"""Variables of a snapshot: every channel of a step."""

from __future__ import annotations

from bnprobe.store.schema.variable import Variable

SNAPSHOT = [
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
