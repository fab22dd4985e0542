"""Settings of the process that decide how its operations round: threads, types, kernels."""

from __future__ import annotations

from typing import Any

import torch


def arithmetic() -> dict[str, Any]:
    """Return the settings of this process, and what it computes on and with."""
    return {
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": {name: getattr(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")},
    }


def set_arithmetic(told: dict[str, Any]) -> None:
    """Compute as the process did that wrote the tapes."""
    torch.set_num_threads(max(1, int(told["threads"])))
    dtype = getattr(torch, str(told["dtype"]), None)
    if isinstance(dtype, torch.dtype) and dtype.is_floating_point:
        torch.set_default_dtype(dtype)
    if told["matmul_precision"] in ("highest", "high", "medium"):
        torch.set_float32_matmul_precision(told["matmul_precision"])
    torch.use_deterministic_algorithms(bool(told["deterministic"]), warn_only=bool(told["warn_only"]))
    for name in ("enabled", "benchmark", "deterministic", "allow_tf32"):
        setattr(torch.backends.cudnn, name, bool(told["cudnn"][name]))


def difference(told: dict[str, Any]) -> str:
    """Return what is another here than where the tapes were written, as a clause; empty where nothing is."""
    own = arithmetic()
    others = [f"{name} {told.get(name)}, here {own[name]}" for name in ("torch", "processor") if told.get(name) != own[name]]
    return f"the tapes were written with {'; '.join(others)}" if others else ""
