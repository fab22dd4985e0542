"""Group norm behind the layers of a network that has no normalisation: mean and variance over groups of a sample's channels.

Wu, He 2018, "Group Normalization", arXiv 1803.08494: groups of neighbouring channels, over all positions, behind convolutions, 32 of
them. Ours: no group is smaller than eight channels, so that there are fewer groups in narrow layers; linear, recurrent and attention
layers, whose groups have no positions.
"""

from __future__ import annotations

from bnprobe.remedies.added_norm import AddedNorm
from bnprobe.remedies.settings import GroupNormSettings

#: Channels of a group, at least: two of them alone would only tell which is larger.
SMALLEST_GROUP = 8


class GroupNorm(AddedNorm[GroupNormSettings]):
    """The remedy ``group-norm``."""

    def groups_of(self, channels: int) -> int:
        """Return the largest number of groups that divides the channels, up to the setting, of eight channels or more each."""
        most = min(self.settings.groups, channels // SMALLEST_GROUP)
        return next((count for count in range(most, 1, -1) if channels % count == 0), 1)
