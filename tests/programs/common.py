"""What the programs share: a fixed seed, small data, and a way to say what truly happened.

A program prints the truth it knows (``loss``, ``norms``, ``rates`` lines, one per optimizer step) and, last, the digest of its final
weights. The test compares these lines with and without the recorder, and with what the recorder wrote down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)


def batches(steps: int, *shape: int, classes: int = 3) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield normal inputs of a shape, the batch axis first, with a class for each sample."""
    generator = torch.Generator().manual_seed(1)
    shape = shape or (8, 6)
    for _ in range(steps):
        yield torch.randn(shape, generator=generator), torch.randint(classes, (shape[0],), generator=generator)


def small_network() -> nn.Sequential:
    """Its layers are ``0:input``, ``0``, ``1`` and ``2``."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def say_loss(*losses: torch.Tensor) -> None:
    """Say the loss of a step, the sum over its micro-steps."""
    print("loss", sum(float(loss.detach().double()) for loss in losses))


def say_norms(*models: nn.Module, **named: nn.Module) -> None:
    """Say the gradient norm of every parameter, in float64; call it when the gradients are those the optimizer will use."""
    norms = {}
    for prefix, model in [*(("", model) for model in models), *((f"{name}.", model) for name, model in named.items())]:
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                gradient = parameter.grad.detach()
                gradient = gradient.to_dense() if gradient.is_sparse else gradient
                norms[prefix + name] = float((torch.view_as_real(gradient) if gradient.is_complex() else gradient).double().norm())
    print("norms", json.dumps(norms))


def say_rates(*optimizers: torch.optim.Optimizer) -> None:
    """Say the learning rates of all groups; call it right before the step."""
    print("rates", json.dumps([float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]))


def digest(*things: nn.Module | torch.Tensor) -> None:
    """Say the SHA-256 of the final weights."""
    sha = hashlib.sha256()
    for thing in things:
        tensors = [thing] if isinstance(thing, torch.Tensor) else thing.state_dict().values()
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor):
                sha.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    print("digest", sha.hexdigest())
