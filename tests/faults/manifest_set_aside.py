"""The programs that nobody tunes the rules on: name by cause, then where the fault is and when it begins."""

from __future__ import annotations

from tests.faults.program import HEALTHY, Catalogue

SET_ASIDE: Catalogue = {
    "learning-rate-too-high": {
        "forecaster": ((), (0, 8)),
        "mixer": ((), (1, 24)),
    },
    "learning-rate-too-low": {
        "recommender": ((), None),
        "denoiser": ((), None),
    },
    "exploding-activations": {
        "characters": ((), (0, 2)),
        "vibration": ((), (0, 2)),
    },
    "mean-shift": {
        "mixer": ((), (0, 10)),
        "energy": ((), (0, 10)),
    },
    "vanishing-gradients": {
        "recall": (("cell*", "embed*"), (0, 3)),
        "pendulum": (("layers.*",), (0, 3)),
    },
    "exploding-gradients": {
        "sine": (("0*", "1*", "2*", "3*", "4*", "5*"), (0, 3)),
        "accumulator": (("sense*", "memory*"), (0, 3)),
    },
    "dead-units": {
        "recommender": (("fc2", "relu2", "out:input"), (0, 3)),
        "value_network": (("trunk.4", "trunk.5", "value:input"), (0, 3)),
    },
    "saturated-units": {
        "highway": (("highways.*.gate.1", "highways.*.gate"), (0, 3)),
        "compressor": (("bound1", "bound2"), (0, 3)),
    },
    "missing-zero-grad": {
        "flow": ((), (1, 10)),
        "two_heads": ((), (1, 10)),
    },
    "unscaled-input": {
        "prices": (("conv1*",), (0, 0)),
        "weather_graph": (("near*",), (0, 0)),
    },
    "numerical-fault": {
        "cosine": (("shares*",), (0, 30)),
        "rotation": (("angle*", "point*"), (52, 52)),
    },
    "half-precision-overflow": {
        "loud_recordings": (("bank*", "mix:input", "mix"), (62, 63)),  # the first batch with a recording of the sixth session
        "static_scale": (("out*",), (0, 2)),  # the only gradient that overflows at step 0 is that of out
    },
    "frozen-parameters": {
        "rating_table": (("item*",), None),
        "name_groups": (("blocks.*.attention*",), None),
    },
    "symmetric-initialisation": {
        "pendulum": (("inner", "outer"), (0, 0)),
        "graph_communities": (("first", "second"), (0, 0)),
    },
    "double-softmax": {
        "lesion_mask": (("mask", "activation"), (0, 0)),
        "next_letter": (("proj",), (0, 0)),
    },
    "eval-mode-training": {
        "validate_once": (("0", "1.dropout", "2.dropout"), (10, 11)),  # after the first epoch
        "restored_signal": (("*.norm_a", "*.norm_b", "7"), (0, 0)),
    },
    "weight-decay-too-strong": {
        "rating_penalty": ((), (0, 30)),
        "patch_mixer": ((), (0, 30)),
    },
    "loss-spike": {
        "load_forecast": ((), (104, 105)),
        "shard_labels": ((), (94, 95)),
    },
    "batch-norm-small-batch": {
        "soil_table": (("norm1", "norm2"), (0, 3)),
        "scene_heads": (("kind.norm", "light.norm"), (0, 3)),
    },
    "batch-norm-train-eval-gap": {
        "slow_statistics": (("0.1", "1.1", "2.1"), None),
        "sorted_sources": (("norm0*",), None),
    },
    "batch-norm-reused": {
        "two_towers": (("norm*",), (0, 0)),
        "denoiser": (("bn*",), (0, 0)),
    },
    HEALTHY: {
        name: ((), None)
        for name in (
            "ascent_step",
            "claims_tail",
            "clipped_heavy_tails",
            "coupling_flow",
            "longer_and_longer",
            "mean_teacher",
            "sign_descent",
            "teacher_average",
            "tied_bfloat16",
            "uneven_experts",
            "wide_margin",
        )
    },
}
