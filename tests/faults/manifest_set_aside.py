"""The programs that nobody tunes the rules on: name by cause, then where the fault is and when it begins."""

from __future__ import annotations

from tests.faults.program import HEALTHY, Catalogue

SET_ASIDE: Catalogue = {
    "learning-rate-too-high": {
        "super_resolution": ((), (0, 3)),
        "ranker": ((), (0, 6)),
    },
    "learning-rate-too-low": {
        "chords": ((), None),
        "bag_of_points": ((), None),
    },
    "exploding-activations": {
        "unet": ((), (0, 2)),
        "hypernetwork": ((), (0, 2)),
    },
    "mean-shift": {
        "pulse": ((), (0, 10)),
        "baskets": ((), (0, 10)),
    },
    "vanishing-gradients": {
        "spiking": (("[0-9]", "[0-9]:*", "1[0-3]", "1[0-3]:*"), (0, 3)),
        "tide_gauge": (("[0-9]", "1[0-7]"), (0, 3)),
    },
    "exploding-gradients": {
        "rectifier": (("[0-9]", "[0-9]:*", "1[0-9]", "1[0-9]:*", "2[0-3]", "2[0-3]:*"), (0, 3)),
        "phase_memory": (("tone*", "write*", "turn*"), (0, 3)),
    },
    "dead-units": {
        "drums": (("act2", "act3", "conv3:input", "conv3", "kind:input"), (0, 3)),
        "citations": (("first", "act1", "second", "second:input", "act2", "topics:input"), (0, 3)),
    },
    "saturated-units": {
        "interferometer": (("bend1", "bend2", "second:input", "out:input"), (0, 3)),
        "cart_critic": (("act1", "act2", "act3"), (0, 3)),
    },
    "missing-zero-grad": {
        "epoch_denoiser": ((), (1, 10)),
        "corridor": ((), (1, 10)),
    },
    "unscaled-input": {
        "tomography": (("enter*",), (0, 0)),
        "watch_times": (("mix.0*",), (0, 0)),
    },
    "numerical-fault": {
        "two_views": (("*riterion*", "*ContrastiveLoss*", "9"), (0, 9)),
        "lone_atoms": (("spread1*",), (51, 51)),
    },
    "half-precision-overflow": {
        "pressure": (("5",), (0, 0)),
        "power_spectrum": (("spectrum*", "norm:input"), (0, 0)),
    },
    "frozen-parameters": {
        "code_book": (("encoder.0", "encoder.2", "encoder.4"), None),
        "reverser": (("embed_in*", "encoder*", "summary*"), None),
    },
    "symmetric-initialisation": {
        "heartbeats": (("conv1", "conv2", "squeeze", "widen"), (0, 0)),
        "wide_and_deep": (("deep1", "deep2"), (0, 0)),
    },
    "double-softmax": {
        "voice_pairs": (("score", "voice.embed"), (0, 0)),
        "voting_experts": (("vote",), (0, 0)),
    },
    "eval-mode-training": {
        "weave": (("features", "features.*"), (0, 0)),
        "imitation": (("body.1", "body.4", "body.7", "body.10", "body.13", "body.16", "body.19", "body.22"), (0, 0)),
    },
    "weight-decay-too-strong": {
        "triplets": ((), (0, 30)),
        "bracket_lstm": ((), (0, 30)),
    },
    "loss-spike": {
        "restart_rate": ((), (116, 117)),
        "value_of_dice": ((), (131, 132)),
    },
    "batch-norm-small-batch": {
        "pitch": (("norm1", "norm2"), (0, 3)),
        "engine_wear": (("norm_read", "norm_hidden"), (0, 3)),
    },
    "batch-norm-train-eval-gap": {
        "noise_levels": (("1", "4", "7"), None),
        "one_shop_a_batch": (("norm1*",), None),
    },
    "batch-norm-reused": {
        "pyramid": (("norms*",), (0, 0)),
        "three_hops": (("norms*",), (0, 0)),
    },
    HEALTHY: {
        name: ((), None)
        for name in (
            "angular_margin",
            "borrowed_features",
            "collocation",
            "density_forecast",
            "gradual_pruning",
            "margin_met",
            "meta_waves",
            "mixed_pictures",
            "random_perception",
            "redundancy",
            "reservoir",
        )
    },
}
