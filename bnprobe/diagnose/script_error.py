"""What to do about the error that a script ended with, where it is one that torch is known for."""

from __future__ import annotations

import re

from bnprobe.analyse.views import RunView

#: By what torch says, version after version: what it means, and what to do.
_KNOWN = (
    (
        "modified by an inplace operation",
        "Something that this backward needs was changed after the forward had used it. Where two optimizers take turns, step one only "
        "after the other's backward, or compute the second loss anew behind the step; "
        "else look for `+=`, `relu_` or an assignment to a slice.",
    ),
    (
        "backward through the graph a second time",
        "A tensor of an earlier step is part of this loss: `detach()` a hidden state, a running loss or a stored output between steps. "
        "Or backward was called twice on one loss: add up the losses first.",
    ),
    (
        "does not require grad and does not have a grad_fn",
        "The loss depends on nothing that is trained: look for `detach()`, `no_grad`, `argmax`, numpy or `torch.tensor(...)` between the "
        "network and the loss, and for parameters that require no gradient.",
    ),
    (
        "cannot be multiplied",
        "The shapes of a linear layer or of a matrix product do not fit: print the shape in front of it; a linear layer takes "
        "`in_features` in the last dimension, and what comes from convolutions is flattened behind the batch.",
    ),
    (
        "index out of range in self",
        "An embedding, or a selection, gets an index beyond its rows: compare the largest with `num_embeddings`.",
    ),
    (r"Target -?\d+ is out of bounds", "A label lies beyond the network's outputs: labels run from 0 to the number of classes less one."),
    (
        "elements of target should be between 0 and 1",
        "The labels of a binary cross-entropy lie beyond 0 and 1: scale a mask of 0 and 255, and give indices of classes "
        "to `cross_entropy`.",
    ),
    (
        "elements of input should be between 0 and 1",
        "`binary_cross_entropy` gets what is no probability: use `binary_cross_entropy_with_logits` on the raw output.",
    ),
    (
        "more than 1 value per channel when training",
        "A batch norm gets a single sample: leave the last, shorter batch out (`drop_last=True`), or evaluate in evaluation mode.",
    ),
    ("out of memory|can't allocate memory", "Make the batch smaller and accumulate gradients over several, or train in bfloat16."),
    ("to be on the same device", "Move the model, the batch, and tensors made in `forward` to one device."),
    (
        "target with class probabilities",
        "A cross-entropy gets integer labels in the shape of its logits: give one index a sample, (N,), or probabilities as floats.",
    ),
    (
        r"(must have the same dtype|expected scalar type|[Ff]ound dtype)",
        "Give both sides one dtype: `.float()` what came from numpy as float64.",
    ),
)


def error_of(recorded: RunView) -> str:
    """The error that the script itself ended with, in one line; empty where it ended otherwise."""
    told = str(recorded.attributes.get("ending", "")) if recorded.status == "crashed" else ""
    return told.partition(" Hint:")[0].rstrip(".")  # torch's hints ask for another run, under its anomaly detection


def advice(error: str) -> str:
    """What to do about an error; empty where it is none of those that torch is known for.

    >>> advice("IndexError: index out of range in self")
    'An embedding, or a selection, gets an index beyond its rows: compare the largest with `num_embeddings`.'
    """
    return next((said for pattern, said in _KNOWN if re.search(pattern, error)), "")
