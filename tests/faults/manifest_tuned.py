"""The programs that the rules of the diagnosis were tuned on: name by cause, then where the fault is and when it begins.

Those of the first set-aside third were moved here when their figures had been published, and a new third was written.
"""

from __future__ import annotations

from tests.faults.program import HEALTHY, Catalogue

TUNED: Catalogue = {
    "learning-rate-too-high": {
        "mlp": ((), (0, 8)),
        "transformer": ((), (0, 12)),
        "gru": ((), (0, 8)),
        "vgg": ((), (1, 20)),  # the warm-up reaches its peak at step 30
        "denoiser": ((), (18, 34)),
        "segmentation": ((), (0, 3)),
    },
    "learning-rate-too-low": {
        "cnn": ((), None),
        "language_model": ((), None),
        "autoencoder": ((), None),
        "segmentation": ((), None),
    },
    "exploding-activations": {
        "mlp": ((), (0, 2)),
        "residual": ((), (0, 2)),
        "decoder": ((), (0, 2)),
        "mixer": ((), (0, 2)),
    },
    "mean-shift": {
        "mlp": ((), (0, 10)),
        "residual": ((), (0, 10)),
        "cnn": ((), (0, 10)),
        "spectrum": ((), (0, 10)),
        "counts": ((), (0, 10)),
    },
    "vanishing-gradients": {
        "mlp": (("0*", "1", "2", "3", "4", "5", "6", "1:*"), (0, 3)),
        "cnn": (("0*", "1", "2", "3", "4"), (0, 3)),
        "autoencoder": (("encoder.*",), (0, 3)),
        "signal": (("0*", "1", "2", "3", "4", "5", "6", "7", "8"), (0, 3)),
        "memory": (("cell*", "first*"), (0, 3)),
    },
    "exploding-gradients": {
        "rnn": (("rnn*",), (0, 3)),
        "batch_norm": (("0*", "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "8.*", "9.*"), (0, 3)),
        "tanh": (("0*", "1*", "2", "3", "4", "5", "6", "7", "8", "9"), (0, 3)),
        "siren": (("0*", "1", "2", "3", "4", "5", "6"), (0, 3)),
        "oscillator": (("recurrent*",), (0, 3)),
    },
    "dead-units": {
        "mlp": (("fc2", "fc3:input", "fc3", "head:input"), (0, 3)),
        "cnn": (("0.0", "0.1", "0.2", "0.3", "3"), (0, 3)),
        "autoencoder": (("bn2", "up1:input"), (0, 3)),
        "detector": (("backbone.[0-5]", "backbone.[2-5]:input", "head:input"), (0, 3)),
        "bandit": (("two", "two_act", "out:input"), (0, 3)),
    },
    "unscaled-input": {
        "mlp": (("0*", "1:input", "1"), (0, 0)),
        "tabular": (("0*",), (0, 0)),
        "lstm": (("lstm*",), (0, 0)),
        "cnn": (("conv1*",), (0, 0)),
        "gas": (("0*",), (0, 0)),
        "forecast": (("conv1*",), (0, 0)),
    },
    "numerical-fault": {
        "normalisation": (("contrast",), (37, 37)),
        "attention": (("pool*", "head:input"), (45, 45)),
        "distance": (("distance*", "body.2*"), (0, 15)),
        "cross_entropy": (("*riterion*", "*CrossEntropy*"), (20, 151)),
        "squashed_policy": (("squash", "mean", "log_deviation"), (45, 75)),
    },
    "saturated-units": {
        "mlp": (("2", "4", "6"), (0, 3)),
        "cnn": (("act1", "act2", "act3"), (0, 3)),
        "rnn": (("rnn",), (0, 3)),
        "gated": (("[012].squash", "[012].open", "[012]"), (0, 3)),
        "attractor": (("[01].bound", "[01]"), (0, 3)),
    },
    "missing-zero-grad": {
        "mlp": ((), (1, 10)),
        "lstm": ((), (1, 10)),
        "cnn": ((), (1, 10)),
        "transformer": ((), (1, 10)),
        "two_tasks": ((), (1, 10)),
    },
    "half-precision-overflow": {
        "mlp": (("4", "0", "2", "*riterion*", "*MSELoss*"), (0, 2)),
        "cnn": (("head:input", "head"), (0, 5)),
        "transformer": (("*",), (0, 3)),
        "scaled_loss": (("7", "6", "5", "*oss*"), (0, 2)),
        "energy": (("0", "1:input", "1"), (0, 0)),
    },
    "frozen-parameters": {
        "mlp": (("body.0", "body.2", "body.4"), None),
        "cnn": (("fc*",), None),
        "lstm": (("lstm",), None),
        "recommender": (("user", "film"), None),
    },
    "symmetric-initialisation": {
        "mlp": (("1", "3", "5"), (0, 0)),
        "cnn": (("conv1", "conv2"), (0, 0)),
        "gru": (("gru", "hidden"), (0, 0)),
        "graph": (("conv1", "conv2"), (0, 0)),
    },
    "double-softmax": {
        "mlp": (("5", "6"), (0, 0)),
        "cnn": (("fc2",), (0, 0)),
        "transformer": (("head",), (0, 0)),
        "tagger": (("probability", "out"), (0, 0)),
    },
    "eval-mode-training": {
        "cnn": (("1", "4", "7", "10", "13", "16", "19", "22"), (0, 0)),
        "mlp": (("2", "4", "6", "8"), (0, 0)),
        "transformer": (("drop*", "encoder*"), (25, 26)),  # after the first epoch
        "pointset": (("points.*", "set.*"), (0, 0)),
    },
    "weight-decay-too-strong": {
        "mlp": ((), (0, 30)),
        "transformer": ((), (0, 30)),
        "autoencoder": ((), (0, 30)),
        "forecaster": ((), (0, 30)),
        "signal": ((), (0, 30)),
    },
    "loss-spike": {
        "mlp": (("0:input", "0"), (110, 111)),
        "cnn": ((), (90, 92)),
        "transformer": ((), (140, 142)),
        "ratings": ((), (121, 122)),
        "contrastive": ((), (85, 86)),
    },
    "batch-norm-small-batch": {
        "cnn": (("1", "4", "7"), (0, 3)),
        "mlp": (("bn1", "bn2"), (0, 3)),
        "autoencoder": (("1", "4"), (0, 3)),
        "value": (("1", "4"), (0, 3)),
    },
    "batch-norm-train-eval-gap": {
        "cnn": (("1", "4", "7", "10"), None),
        "mlp": (("2", "5"), None),
        "residual": (("0.1", "*bn1", "*bn2"), None),
        "signal": (("[012].norm",), None),
    },
    "batch-norm-reused": {
        "cnn": (("bn*",), (0, 0)),
        "mlp": (("norms.0*",), (0, 0)),
        "recurrent": (("bn*",), (0, 0)),
        "siamese": (("norm*", "quiet_norm*"), (0, 0)),
    },
    HEALTHY: {
        name: ((), None)
        for name in (
            "accumulation",
            "big_embedding",
            "cyclic_rate",
            "deep_transformer",
            "dropout",
            "fine_tuning",
            "gan",
            "label_noise",
            "large_activations",
            "lbfgs",
            "noisy_small_batch",
            "policy_gradient",
            "rnn",
            "siamese",
            "sparse_autoencoder",
            "variational_autoencoder",
            "warm_up",
            "zero_branches",
            "idle_experts",
            "offset_loss",
            "heavy_tails",
            "flow",
            "sharpness_aware",
        )
    },
}
