"""Colours that survive a greyscale printer and the common kinds of colour blindness, on light and on dark ground.

Sequential: cividis (Nuñez, Anderton, Renslow 2018, doi:10.1371/journal.pone.0199239), whose lightness rises linearly. Diverging: blue and
orange, the pair that all common colour deficiencies keep apart, with lightness falling monotonically from the middle to either end.
Lines: Okabe and Ito's set, shifted to the middle lightness that shows on white and on near-black.
"""

from __future__ import annotations

Scale = list[list[float | str]]


def _evenly(colours: list[str]) -> Scale:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


SEQUENTIAL = _evenly(["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"])
DIVERGING = _evenly(["#0b2f5e", "#1f5d9c", "#5c93c4", "#a5c4dd", "#eeeeec", "#efc49a", "#d98d4d", "#ab5a1a", "#6b3006"])

#: What is not finite. Far from every colour of both scales, and never without its hatching.
ALARM = "#c8102e"
ALARM_HATCH = "#ffd6dc"
#: The moment a run deviated from its baseline.
MARK = "#d55e00"
SEAM = "rgba(255,255,255,0.45)"

LINE = "#2f7fc1"
SECOND_LINE = "#c98a00"

#: Of the runs on a page, in their order.
RUNS = ("#2f7fc1", "#d55e00", "#0f9d76", "#c765a0", "#c98a00", "#8a8a8a")

#: Colour, marker and dash of each kind of layer, so that a profile can be told apart without its colours. What a module received is a kind
#: of its own: "input".
KINDS = {
    "convolution": ("#2f7fc1", "circle", "solid"),
    "linear": ("#0f9d76", "square", "solid"),
    "normalisation": ("#c98a00", "diamond", "dash"),
    "activation": ("#c765a0", "triangle-up", "dot"),
    "attention": ("#d55e00", "star", "dash"),
    "recurrent": ("#d55e00", "hexagon", "solid"),
    "embedding": ("#6f7fd0", "pentagon", "dot"),
    "dropout": ("#8a8a8a", "x-thin-open", "dot"),
    "pooling": ("#38a3c4", "triangle-down", "dashdot"),
    "other": ("#8a8a8a", "cross", "dashdot"),
    "input": ("#8a8a8a", "asterisk-open", "dot"),
}
