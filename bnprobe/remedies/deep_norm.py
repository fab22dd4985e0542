"""DeepNorm: what is normalised behind a residual branch is a x + f(x), and the branch starts small.

Wang et al. 2022, "DeepNet: Scaling Transformers to 1,000 Layers", arXiv 2203.00555, for transformers that normalise behind the addition,
x <- LN(a x + f(x)). Weights of the feed-forward layers, values and outputs of attention start as Xavier's of gain b, queries and keys of
gain 1. With N layers of an encoder and M of a decoder:

    encoder or decoder alone     a = (2 N)^(1/4)               b = (8 N)^(-1/4)
    both, in the encoder         a = 0.81 (N^4 M)^(1/16)       b = 0.87 (N^4 M)^(-1/16)
    both, in the decoder         a = (3 M)^(1/4)               b = (12 M)^(-1/4)

Here the branch is divided by a, and eps of the norm by a^2, which is the same: LN does not see a common factor. Ours: residual branches in
a block of the script's own, as far as torch.fx can follow its code, count as torch's layers do, a block a layer; what is no linear layer
and no attention of torch's is left at its start. So are, in attention of the script's own, layers that give both logits and values, and all
where its code cannot be followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.module_parts import modules
from bnprobe.remedies.attention import is_attention, logit_layers
from bnprobe.remedies.branch_factor import ATTRIBUTE, BranchFactor, hook_for, trained_weight
from bnprobe.remedies.fast_paths import leave_fast_paths
from bnprobe.remedies.linear_layers import is_linear
from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.residual import Branch, residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import DeepNormSettings

PACKED = "left at its start, for it gives values of attention as well as logits, or its code does not tell"


@dataclass(frozen=True)
class Constants:
    """What the depth makes of a layer.

    Attributes:
        shortcut: the factor a on x.
        gain: b, of the weights of the branch.
    """

    shortcut: float
    gain: float


def constants_for(encoder: int, decoder: int) -> tuple[Constants, Constants]:
    """Return the constants of an encoder's layers and a decoder's, either of which may have none.

    >>> constants_for(8, 0)[0]
    Constants(shortcut=2.0, gain=0.3535533905932738)
    """
    if encoder and decoder:
        both = (encoder**4 * decoder) ** (1 / 16)
        return Constants(0.81 * both, 0.87 / both), Constants((3 * decoder) ** 0.25, (12 * decoder) ** -0.25)
    alone = Constants((2 * (encoder + decoder)) ** 0.25, (8 * (encoder + decoder)) ** -0.25)
    return alone, alone


class DeepNorm(Remedy[DeepNormSettings]):
    """The remedy ``deep-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Divide the branches, and set their weights."""
        found = [one for one in residual_branches(scope) if one.norm is not None]
        branches = [one for one in found if trained_weight(one, scope) is not None]
        if not branches:
            what = "no trained residual branch whose sum alone is normalised, LN(x + f(x))"
            raise self.nothing(what, "skip-init acts on residual branches whatever is normalised")
        self.untreated({branch.last_name: branch.last for branch in branches}, ATTRIBUTE)
        returns = scope.returns(ATTRIBUTE)
        loaded = next((kind for branch in branches if (kind := scope.loaded_into(branch.block)) is not None), None)
        if loaded is not None and not returns and not self.settings.keep_weights:
            raise RemedyError(
                f"remedy {self.name} sets the weights anew, and weights were loaded into this {loaded}",
                "to go on from them: --remedy deep-norm:keep-weights",
            )
        blocks = {id(branch.block): branch.block for branch in branches}
        unknown: dict[str, None] = {}
        decoders = sum(isinstance(one, nn.TransformerDecoderLayer) for one in blocks.values())
        of_encoder, of_decoder = constants_for(len(blocks) - decoders, decoders)
        for branch in branches:
            constants = of_decoder if isinstance(branch.block, nn.TransformerDecoderLayer) else of_encoder
            self._weigh(branch, scope, constants)
            if not returns and not self.settings.keep_weights:
                left = _set_weights(branch, scope, constants.gain)
                unknown |= {name: None for name, one in scope.modules() if any(one is other for other in left)}
        leave_fast_paths(self, scope, {id(branch.last) for branch in branches})
        frozen = tuple(branch.last_name for branch in found if branch not in branches)
        reasons = {"left as it is, for it is frozen": frozen, PACKED: tuple(unknown)}
        return Touched("residual branches", tuple(branch.last_name for branch in branches), left=reasons)

    def _weigh(self, branch: Branch, scope: Scope, constants: Constants) -> None:
        like = trained_weight(branch, scope)
        assert like is not None
        self.add_behind(branch.last, ATTRIBUTE, BranchFactor(1.0 / constants.shortcut, like, learned=False), hook_for(branch.last))
        eps: Any = getattr(branch.norm, "eps", None)
        if isinstance(eps, float):
            self.set_attribute(branch.norm, "eps", eps / constants.shortcut**2)


@torch.no_grad()
def _set_weights(branch: Branch, scope: Scope, gain: float) -> list[nn.Module]:
    """Set the weights of a branch; return the layers that were left, for they may give queries and keys as well as values."""
    logits, left = _of_own_attention(branch)
    for one in (one for part in branch.parts for one in modules(part)):
        if any(one is other for other in left):
            continue
        if isinstance(one, nn.MultiheadAttention):
            size, packed = one.embed_dim, one._parameters.get("in_proj_weight")
            if packed is not None and id(packed) in scope.trained:
                for number, own in enumerate((1.0, 1.0, gain)):
                    nn.init.xavier_normal_(packed[number * size : (number + 1) * size], own)
            for key, own in (("q_proj_weight", 1.0), ("k_proj_weight", 1.0), ("v_proj_weight", gain)):
                if (weight := one._parameters.get(key)) is not None and id(weight) in scope.trained:
                    nn.init.xavier_normal_(weight, own)
        elif is_linear(one) and (weight := one._parameters.get("weight")) is not None and id(weight) in scope.trained:
            nn.init.xavier_normal_(weight, 1.0 if any(one is other for other in logits) else gain)
    return left


def _of_own_attention(branch: Branch) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the linear layers of attention of the script's own that give logits alone, and those of which that is not known."""
    logits: list[nn.Module] = []
    unknown: list[nn.Module] = []
    inside = [one for part in branch.parts for one in modules(part)]
    for one in [branch.block, *inside]:
        if isinstance(one, nn.MultiheadAttention | nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) or not is_attention(one):
            continue
        if one is branch.block and any(is_attention(part) for part in inside):
            continue
        told = logit_layers(one)
        if told is None and one is not branch.block:
            told = [], list(modules(one))
        for found, layers in zip((logits, unknown), told or ([], []), strict=True):
            found += [part for layer in layers for part in modules(layer) if is_linear(part)]
    return logits, [one for one in unknown if any(one is other for other in inside)]
