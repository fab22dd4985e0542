"""Queries and keys normalised, so that no logit of an attention can grow without bound: q <- q / rms(q), k <- k / rms(k), head by head.

Henry, Dachapally, Pawar, Chen 2020, "Query-Key Normalization for Transformers", arXiv 2010.04245, divide by the length and learn one scale
in place of 1/sqrt(d). Dehghani et al. 2023, "Scaling Vision Transformers to 22 Billion Parameters", arXiv 2302.05442, put layer norm with a
learned scale there, and show that it ends the divergence of the logits.

Ours: the root mean square, and nothing that is learned. With the usual 1/sqrt(d) a logit lies within gain sqrt(d). It is taken where the
attention is computed, behind position encodings that rotate, which keep lengths: in torch's ``nn.MultiheadAttention``, and wherever a
module that attends (``attention``) calls ``scaled_dot_product_attention``, or writes it out (``logit_products``). One whose logits come
about in another way is refused when it first computes them; a module that has heads for several tasks does not attend.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.module_parts import modules
from bnprobe.remedies.attention import is_attention
from bnprobe.remedies.fast_paths import leave_fast_paths
from bnprobe.remedies.logit_products import NormalisedLogits, normalised
from bnprobe.remedies.norms import normalises
from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import QueryKeyNormSettings

NORMALISED = "left as it is, for it holds normalisations of its own"


class QueryKeyNorm(Remedy[QueryKeyNormSettings]):
    """The remedy ``qk-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Have every attention normalise its queries and keys."""
        found = {name: one for name, one in scope.modules() if scope.is_trained(one) and is_attention(one)}
        found = {name: one for name, one in found.items() if not any(is_attention(part) for part in modules(one) if part is not one)}
        own = tuple(name for name, one in found.items() if sum(map(normalises, one.children())) > 1)
        places = {name: one for name, one in found.items() if name not in own}
        if not places:
            what = (
                "every attention holds normalisations of its own"
                if own
                else "no nn.MultiheadAttention, and no module that calls scaled_dot_product_attention or writes it out"
            )
            raise self.nothing(what, "weight-norm learns the lengths of the weights of queries and keys")
        for name, one in places.items():
            self._check(name, one)
        for name, one in places.items():
            if isinstance(one, nn.MultiheadAttention):
                one.forward = functools.partial(_attend, one, self.settings.gain)  # type: ignore[method-assign]
            else:
                one.forward = functools.partial(_normalising, one, name, self.settings.gain)
            self._undo.append(functools.partial(delattr, one, "forward"))
            self.hook(one.register_forward_pre_hook(_unchanged))  # to be seen by those who look at what a module is
        leave_fast_paths(self, scope, {id(one) for one in places.values()})
        return Touched("attentions", tuple(places), left={NORMALISED: own})

    def _check(self, name: str, one: nn.Module) -> None:
        kind = type(one).__name__
        if "forward" in vars(one):
            raise RemedyError(f"remedy {self.name}: '{name}', a {kind}, was given another forward", "apply each remedy once")
        if not isinstance(one, nn.MultiheadAttention):
            return
        if type(one).forward is not nn.MultiheadAttention.forward or one.bias_k is not None:
            what = "adds a key of its own" if one.bias_k is not None else "has a forward of its own"
            raise RemedyError(
                f"remedy {self.name}: '{name}', a {kind}, {what}, which cannot be normalised", "clip-norm bounds the steps of every layer"
            )


def _normalising(module: nn.Module, name: str, gain: float, *args: Any, **kwargs: Any) -> Any:
    """Run the forward of a module's class with its queries and keys normalised."""
    with NormalisedLogits(gain) as mode:
        output = type(module).forward(module, *args, **kwargs)
    if mode.fault:
        raise RemedyError(
            f"remedy qk-norm: '{name}', a {type(module).__name__}, {mode.fault}",
            "have it call that; a library may have an option for it, such as attn_implementation='sdpa'",
        )
    return output


def _attend(
    module: nn.MultiheadAttention,
    gain: float,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Run torch's attention on queries and keys that were projected and normalised already; all else is left to torch."""
    turned = module.batch_first and query.dim() == 3
    if turned:
        query, key, value = (one.transpose(0, 1) for one in (query, key, value))
    size, bias = module.embed_dim, module.in_proj_bias
    weights = module.in_proj_weight.chunk(3) if module._qkv_same_embed_dim else _projections(module)
    shifts: Any = (None,) * 3 if bias is None else bias.chunk(3)
    query, key = (
        normalised(projected.view(*projected.shape[:-1], module.num_heads, module.head_dim)).flatten(-2)
        for projected in (F.linear(query, weights[0], shifts[0]), F.linear(key, weights[1], shifts[1]))
    )
    as_it_is = torch.eye(size, dtype=query.dtype, device=query.device)
    output, seen = F.multi_head_attention_forward(
        query * gain,
        key,
        value,
        size,
        module.num_heads,
        None,
        None if bias is None else torch.cat([torch.zeros_like(bias[: 2 * size]), shifts[2]]),
        None,
        None,
        module.add_zero_attn,
        module.dropout,
        module.out_proj.weight,
        module.out_proj.bias,
        training=module.training,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        attn_mask=attn_mask,
        use_separate_proj_weight=True,
        q_proj_weight=as_it_is,
        k_proj_weight=as_it_is,
        v_proj_weight=weights[2],
        average_attn_weights=average_attn_weights,
        is_causal=is_causal,
    )
    return (output.transpose(0, 1) if turned else output), seen


def _projections(module: nn.MultiheadAttention) -> tuple[torch.Tensor, ...]:
    return module.q_proj_weight, module.k_proj_weight, module.v_proj_weight


def _unchanged(module: nn.Module, args: tuple[Any, ...]) -> None:
    """Forward pre-hook that does nothing."""
