"""Layer norm behind the layers of a network that has no normalisation: y = (x - mean x) / sqrt(var x + eps) over a sample's channels.

Ba, Kiros, Hinton 2016, "Layer Normalization", arXiv 1607.06450, which normalises the summed inputs of a layer's units, as here behind
linear layers. Ours: behind convolutions it is taken over positions, too; behind recurrent layers it is the layer's output, at every moment
of time, for torch's fused layers do not show what is inside; behind attention it is what goes back into the network.
"""

from __future__ import annotations

from bnprobe.remedies.added_norm import AddedNorm
from bnprobe.remedies.settings import AddedNormSettings


class LayerNorm(AddedNorm[AddedNormSettings]):
    """The remedy ``layer-norm``."""
