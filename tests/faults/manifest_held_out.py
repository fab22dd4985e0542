"""The programs that nobody tunes the rules on: name by cause, then where the fault is and when it begins."""

from __future__ import annotations

from tests.faults.program import HEALTHY, Catalogue

HELD_OUT: Catalogue = {
    "learning-rate-too-high": {
        "majority": ((), (0, 10)),
        "depthwise": ((), (0, 8)),
    },
    "learning-rate-too-low": {
        "bicycle_counts": ((), None),
        "heat_map": ((), None),
    },
    "exploding-activations": {
        "cross_network": (("crosses.*",), (0, 3)),
        "dense_sums": ((), (0, 2)),
    },
    "mean-shift": {
        "dance_steps": (("embed", "layers.0", "layers.0:input"), (0, 10)),
        "student": ((), (0, 10)),
    },
    "vanishing-gradients": {
        "league_place": (("carry.*", "matches.*"), (0, 3)),
        "phase_field": (("[0-9]", "[0-9]:*", "1[0-5]", "1[0-5]:*"), (0, 3)),
    },
    "exploding-gradients": {
        "settling_network": (("couple", "drive"), (0, 3)),
        "folding_field": (("[0-9]", "[0-9]:*", "1[0-6]", "1[0-6]:*"), (0, 3)),
    },
    "dead-units": {
        "trip_counts": (("owned", "mixed", "mixed:input"), (0, 3)),
        "focal_prior": (("conv1", "act1", "conv2:input", "conv2", "act2", "conv3:input", "conv3", "act3", "score:input"), (0, 3)),
    },
    "saturated-units": {
        "gene_graph": (("first", "act1", "second:input"), (0, 3)),
        "hash_codes": (("squash1", "narrow:input", "squash2", "code:input", "bits"), (0, 3)),
    },
    "missing-zero-grad": {
        "gap_fill": (("decoder*",), (1, 10)),
        "distilled": ((), (1, 10)),
    },
    "unscaled-input": {
        "lander": (("trunk", "trunk:input", "trunk.0", "trunk.0:input"), (0, 3)),
        "photon_counts": (("0", "0:*"), (0, 0)),
    },
    "numerical-fault": {
        "masked_moves": (("entropy", "entropy:input", "choose"), (40, 41)),
        "hyperbolic": (("distance*", "encoder.2", "encoder"), (10, 11)),
    },
    "half-precision-overflow": {
        "linear_attention": (("attention*",), (0, 3)),
        "travel_times": (("times*", "conv1:input", "conv1"), (0, 0)),
    },
    "frozen-parameters": {
        "ticket_router": (("embed", "block*"), None),
        "late_thaw": (("backbone.0", "backbone.2", "backbone.4"), None),
    },
    "symmetric-initialisation": {
        "factorisation_machine": (("factors",), (0, 3)),
        "proxies": (("lift", "embed"), (0, 0)),
    },
    "double-softmax": {
        "session_next_item": (("scores",), (0, 3)),
        "warm_teacher": (("chances", "answer"), (0, 0)),
    },
    "eval-mode-training": {
        "sleep_stages": (("norms.*",), (0, 3)),
        "quarter_turns": (("features", "features.*"), (0, 0)),
    },
    "weight-decay-too-strong": {
        "time_to_failure": ((), (0, 30)),
        "deblur": ((), (0, 30)),
    },
    "loss-spike": {
        "reversed_preferences": ((), (140, 141)),
        "gain_switch": ((), (104, 105)),
    },
    "batch-norm-small-batch": {
        "dwell_time": (("norm1", "norm2"), (0, 3)),
        "joint_angles": (("norm_enter", "norm_bend"), (0, 3)),
    },
    "batch-norm-train-eval-gap": {
        "length_buckets": (("norm",), None),
        "blank_preview": (("norm1*", "norm2*", "norm3*"), None),
    },
    "batch-norm-reused": {
        "wide_table": (("norms.*",), (0, 3)),
        "unrolled": (("norms*",), (0, 0)),
    },
    HEALTHY: {
        name: ((), None)
        for name in (
            "carried_state",
            "gambler_critic",
            "growing_network",
            "low_rank_adapters",
            "noise_to_noise",
            "photon_likelihood",
            "rare_words",
            "score_matching",
            "sine_layers",
            "tied_cosine_logits",
        )
    },
}
