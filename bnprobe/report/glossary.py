"""What the page's words mean, a sentence each, for a reader who meets them for the first time."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

#: In the order in which a reader meets them. The formulas stand where they are computed, and in the run file's own attributes.
TERMS = {
    "activation": "What a layer puts out in the forward pass.",
    "activation gradient": "The derivative of the loss with respect to what a layer puts out: what the backward pass hands to it.",
    "decade": "A factor of ten: 2 decades are a hundredfold, 0.06 decades a layer are tenfold in 17 layers.",
    "rms": "Root mean square: the size of a typical value, whatever its sign.",
    "baseline": "The band in which a quantity of a layer moved in its first healthy steps, with room for its noise.",
    "deviated": "The first step after which a layer's size stayed outside its baseline.",
    "diverged": "The loss is no longer a finite number, or has grown far beyond its first value: the headline says which.",
    "common mode": "The part of a signal that is the same for every sample, and so says nothing about any of them.",
    "energy": "The mean square of a signal: A of the channels' means, B of what differs between samples, W of what varies within a sample.",
    "common-mode fraction κ": "The share of a layer's energy that is common mode. At 1 every sample looks the same to this layer.",
    "spatial common-mode fraction κₛ": "The share that is constant over an image or sequence. At 1 the layer sees no detail in it.",
    "update ratio": "How far a step moved a layer's weights, over the size of the weights. At 1 it moved them as far as they are long.",
    "dead channel": "A channel that was zero for the whole batch: it passes nothing on, and no gradient comes back through it.",
    "mean shift": "A common mode that grows from layer to layer, or over the training, until it drowns what differs between samples.",
    "mean shift rejection, msr": "A remedy: the mean of each slice of a kernel is kept at zero, so that no common mode passes.",
    "snapshot": "A step at which every channel of every layer was stored, not only what is true of the layer as a whole.",
    "sharpness": "The largest curvature of the loss around the weights: how soon a step along it overshoots.",
    "line probe": "The loss of a step's own batch at points along its update and beyond: how far the step could have gone.",
    "trial": "The unedited script trained again with one thing changed, such as the rate or a remedy.",
    "depth": "A layer's place in the order in which the forward pass called it, counted from 1.",
    "finding": "A cause that the recording speaks for. Its confidence is how often such evidence was right where the fault is known.",
    "remedy": "A change to the training that bnprobe can try without an edit of the script, such as batch norm or clipping.",
}
#: Headings of the page in the words above.
_ALIASES = {
    "Activation rms": ("activation", "rms"),
    "Dead channels": ("dead channel",),
    "Deviated at step": ("deviated",),
    "Depth": ("depth",),
    "Gradient rms": ("activation gradient", "rms"),
    "Largest update ratio": ("update ratio",),
    "κ, first → last": ("common-mode fraction κ",),
}


def explained(heading: str) -> Markup:
    """Return a heading that says what it means when it is pointed at, where it has a word that is not everyday."""
    terms: Iterable[str] = _ALIASES.get(heading, ())
    meaning = " ".join(TERMS[term] for term in terms)
    return Markup(f'<abbr title="{escape(meaning)}">{escape(heading)}</abbr>') if meaning else escape(heading)
