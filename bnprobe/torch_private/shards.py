"""Which part of a distributed tensor this rank holds."""

from __future__ import annotations

import torch


def is_summand(tensor: torch.Tensor) -> bool:
    """Whether this rank holds a summand of a sum over ranks that was not made yet: no number of the network."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter or not hasattr(tensor, "to_local"):
        return False
    return any(placement.is_partial() for placement in getattr(tensor, "placements", ()))


def shard_of(tensor: torch.Tensor) -> str:
    """Say which part of a distributed tensor this rank holds, asking no other rank; "" for a tensor that is whole.

    Returns:
        For each axis of the mesh S and the dimension that is cut, R (replicated) or P (partial sums), with the place of this rank and the
        size of the axis: "R 0/2, S0 1/4". ``placements`` and ``get_local_rank`` as in torch 2.6 to 2.13.
    """
    mesh, placements = getattr(tensor, "device_mesh", None), getattr(tensor, "placements", None)
    if mesh is None or placements is None:
        return ""
    parts = []
    for axis, placement in enumerate(placements):
        dimension = getattr(placement, "dim", None)
        kind = f"S{dimension}" if dimension is not None else "P" if placement.is_partial() else "R"
        parts.append(f"{kind} {mesh.get_local_rank(axis)}/{mesh.size(axis)}")
    return ", ".join(parts)


def is_same_part(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether this rank holds the same part of two tensors, as ``shard_of`` says it; of most it is seen without that."""
    plain_types = (torch.Tensor, torch.nn.Parameter)
    if type(one) in plain_types and type(other) in plain_types:
        return True
    mesh, placements = getattr(one, "device_mesh", None), getattr(one, "placements", None)
    if mesh is not None and mesh is getattr(other, "device_mesh", None) and placements == getattr(other, "placements", None):
        return True
    return shard_of(one) == shard_of(other)
