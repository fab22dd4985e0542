"""Operations, their kernels, and the functions of C that the losses of nn.functional end in."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch._library import custom_ops

OpOverload = torch._ops.OpOverload

#: How the dispatcher shows a kernel that is a function of python: by the file that registered it; 2.6 to 2.13.
_PYTHON_KERNEL = re.compile(r"^(\w+)[^:]*: registered at (.*(?:\.py|>))(?::\d+)? :: \(none\) \[ boxed \]")
_TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep


@functools.cache
def is_scripts_operation(operation: Any) -> bool:
    """Whether an operation is computed by python code that is not torch's: a custom one, or one that somebody has replaced.

    Returns:
        The answer of its first use; the kernels for shapes alone and those of autograd are left out.
    """
    name = str(operation._schema.name)
    defined = custom_ops.OPDEFS.get(name)
    if defined is not None:
        return not str(getattr(defined._init_fn, "__module__", "")).startswith("torch.")
    overload = str(operation._schema.overload_name)
    dump = torch._C._dispatch_dump(f"{name}.{overload}" if overload else name)
    kernels = [found.groups() for line in dump.splitlines() if (found := _PYTHON_KERNEL.match(line))]
    return any(not key.startswith(("Meta", "Autograd")) and not file.startswith(_TORCH_FOLDER) for key, file in kernels)


#: Where the recurrent layers look up their kernels; 2.6 to 2.13.
RECURRENT_KERNELS: Any = torch._VF


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """Use neither cuDNN nor oneDNN; 2.6 to 2.13."""
    switches: Any = torch._C
    cudnn, onednn = switches._get_cudnn_enabled(), switches._get_mkldnn_enabled()
    switches._set_cudnn_enabled(False)
    switches._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        switches._set_cudnn_enabled(cudnn)
        switches._set_mkldnn_enabled(onednn)


class LossFunction(NamedTuple):
    """A loss.

    Attributes:
        owner: the module that holds it.
        name: what it is called there.
        reduction: place of its argument that says how it is summed up.
        ignored: place of the label that does not count; None where there is none.
    """

    owner: Any
    name: str
    reduction: int
    ignored: int | None = None


#: 2.6 to 2.13.
LOSS_FUNCTIONS = (
    LossFunction(torch._C._nn, "cross_entropy_loss", 3, 4),
    LossFunction(torch._C._nn, "nll_loss_nd", 3, 4),
    LossFunction(torch._C._nn, "mse_loss", 2),
    LossFunction(torch._C._nn, "l1_loss", 2),
    LossFunction(torch._C._nn, "smooth_l1_loss", 2),
    LossFunction(torch._C._nn, "huber_loss", 2),
    LossFunction(torch._C._nn, "binary_cross_entropy", 3),
    LossFunction(torch, "binary_cross_entropy_with_logits", 4),
    LossFunction(torch._C._nn, "soft_margin_loss", 2),
    LossFunction(torch._C._nn, "multi_margin_loss", 5),
    LossFunction(torch, "hinge_embedding_loss", 3),
    LossFunction(torch, "poisson_nll_loss", 5),
    LossFunction(torch, "kl_div", 2),
)
