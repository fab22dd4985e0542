"""RMS norm behind the layers of a network that has no normalisation: y = x / sqrt(mean x^2 + eps) over a sample's channels.

Zhang, Sennrich 2019, "Root Mean Square Layer Normalization", arXiv 1910.07467: layer norm without its mean. It bounds the signal and leaves
its common mode in it. Ours: behind convolutions it is taken over positions, too; recurrent layers and attention as for ``layer-norm``.
"""

from __future__ import annotations

from bnprobe.remedies.added_norm import AddedNorm
from bnprobe.remedies.settings import AddedNormSettings


class RmsNorm(AddedNorm[AddedNormSettings]):
    """The remedy ``rms-norm``."""

    centred = False
