"""Variables of a curvature probe."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

_HESSIAN = "Hessian H of the step's loss, the sum of what was handed to its backward calls"

CURVATURE = [
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
