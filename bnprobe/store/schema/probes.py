"""Variables of a line probe."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

_CRITICAL_SHARPNESS = "Kalra 2026 (2601.16979); Bjorck et al. 2018 (1806.02375), Fig 3"

PROBE = [
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
