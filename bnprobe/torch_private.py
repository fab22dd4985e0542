"""Every private name of torch that this package uses, each once, with the versions in which it was seen.

"2.6 to 2.13" says that the name was looked up in the sources of both, and that the tests ran with the later one; those of observe, measure,
remedies and what_if have run with 2.6 as well. What begins with an
underscore at a tensor or a module (``_version``, ``_parameters``, ``_modules``, the ``_foreach`` functions) is as good as public and is
used where it is needed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import CellType, FrameType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._library import autograd as library_autograd
from torch._library import custom_ops
from torch.autograd import forward_ad, grad_mode
from torch.optim import optimizer as torch_optimizer
from torch.utils import _python_dispatch, _pytree, checkpoint
from torch.utils.hooks import RemovableHandle

# -- layers: what torch's own layer classes have for a base; 2.6 to 2.13 -----------------------------------------------

ConvNd = nn.modules.conv._ConvNd
ConvTransposeNd = nn.modules.conv._ConvTransposeNd
BatchNormBase = nn.modules.batchnorm._BatchNorm
NormBase = nn.modules.batchnorm._NormBase
InstanceNormBase = nn.modules.instancenorm._InstanceNorm
DropoutNd = nn.modules.dropout._DropoutNd
PoolNd = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)
LossBase = nn.modules.loss._Loss

# -- calls of modules: the function that calls ``forward``, and what stands at that call in its source; 2.6 to 2.13 --------

MODULE_CALLER: Any = nn.Module._call_impl
FORWARD_CALL = "forward_call"

# -- modes and subclasses of the script: none of them is to meet an operation that is not the script's -------------------

#: Contexts of C; 2.6 to 2.13.
TorchFunctionDisabled: Callable[[], AbstractContextManager[Any]] = torch._C.DisableTorchFunction
AutocastDisabled: Any = torch._C._DisableAutocast
BelowAutograd: Any = torch._C._AutoDispatchBelowAutograd

#: The dispatch modes of this thread; 2.6 to 2.13.
dispatch_depth: Callable[[], int] = torch._C._len_torch_dispatch_stack
push_dispatch_mode: Callable[[Any], None] = torch._C._push_on_torch_dispatch_stack
dispatch_modes_disabled: Callable[[], AbstractContextManager[Any]] = _python_dispatch._disable_current_modes
DispatchMode = _python_dispatch.TorchDispatchMode
OpOverload = torch._ops.OpOverload


def pop_dispatch_mode() -> Any:
    """Take the last dispatch mode off and return it."""
    return torch._C._pop_torch_dispatch_stack(None)


#: Whether the script profiles, and a switch of this thread for what its profiler is told of; 2.6 to 2.13.
is_profiled: Callable[[], bool] = torch._C._autograd._profiler_enabled
_tell_profiler: Callable[[bool], None] = torch._C._autograd._enable_record_function
_unprofiled = threading.local()
#: What every profiler calls before it begins; 2.6 to 2.13.
PROFILER, BEGIN_PROFILING = torch.autograd.profiler.profile, "_prepare_trace"


def user_modes_disabled() -> AbstractContextManager[Any]:
    """Return a context in which no mode, no tensor subclass and no profiler of the script sees what is done."""
    if dispatch_depth() == 0 and not is_profiled():
        return TorchFunctionDisabled()
    stack = ExitStack()
    stack.enter_context(TorchFunctionDisabled())
    stack.enter_context(dispatch_modes_disabled())
    stack.enter_context(_profiler_untold())
    return stack


@contextlib.contextmanager
def _profiler_untold() -> Iterator[None]:
    # Torch does not say how the switch stands: of contexts within each other the outermost turns it.
    if getattr(_unprofiled, "is_on", False) or not is_profiled():
        yield
        return
    _unprofiled.is_on = True
    _tell_profiler(False)
    try:
        yield
    finally:
        _tell_profiler(True)
        _unprofiled.is_on = False


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor without its subclass: a sharded one is its local shard, any other the same numbers under the base class."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        if hasattr(tensor, "to_local"):
            return _arrived(tensor.to_local())
        return tensor.as_subclass(torch.Tensor)


def _arrived(tensor: torch.Tensor) -> torch.Tensor:
    """Return the numbers that a collective of the script's own still fills in, once they are there; any other tensor as it is.

    Such a tensor has no memory of its own. ``trigger_wait`` as in torch 2.6 to 2.13.
    """
    while hasattr(tensor, "trigger_wait"):
        tensor = tensor.trigger_wait()
    return tensor


def holds_numbers(tensor: torch.Tensor) -> bool:
    """Whether a tensor has numbers in memory of its own, laid out in strides: not a meta or fake one, nor sparse, nested or batched."""
    if tensor.is_nested or torch._C._functorch.is_batchedtensor(tensor) or tensor._is_zerotensor():
        return False
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor.layout is torch.strided and not tensor.is_meta
    kind = type(tensor)
    if kind.__module__.startswith("torch._subclasses"):
        return False
    if hasattr(tensor, "to_local"):
        return not is_summand(tensor) and tensor.layout is torch.strided and not tensor.is_meta
    # A wrapper subclass keeps its numbers in other tensors: its own memory is none.
    return tensor.layout is torch.strided and not tensor.is_meta and "__torch_dispatch__" not in _own_attributes(kind)


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


#: Tells a tensor that python has let go of, and that C still holds, that python holds it again; 2.6, and None where there is no need.
_FIX_REFERENCE: Callable[[torch.Tensor], None] | None = getattr(torch.Tensor, "_fix_weakref", None)


def revived(reference: Callable[[], torch.Tensor | None]) -> torch.Tensor | None:
    """Return the tensor that a weak reference is to, as ``torch.utils.weak`` does; None where it is gone."""
    tensor = reference()
    if tensor is not None and _FIX_REFERENCE is not None:
        _FIX_REFERENCE(tensor)
    return tensor


def answers_itself(tensor: torch.Tensor) -> bool:
    """Whether a tensor's class computes every operation on it by code of its own: that of the script, which may print, count or refuse."""
    kind = type(tensor)
    if kind is torch.Tensor or kind is torch.nn.Parameter or kind.__module__.startswith("torch."):
        return False
    return "__torch_dispatch__" in _own_attributes(kind) and not hasattr(tensor, "to_local")


def at_hand(number: torch.Tensor) -> torch.Tensor | float:
    """Return a number that lies in a tensor: itself where that costs no waiting, a copy elsewhere. The tensor may change in place."""
    if type(number) is torch.Tensor and number.is_cpu and number.numel() == 1:
        with contextlib.suppress(RuntimeError, TypeError):  # it has no numbers of its own, or is complex
            return float(number.item())
    return number.detach().clone()


def is_batched(thing: object) -> bool:
    """Whether a tensor stands for many, inside ``vmap``."""
    return isinstance(thing, torch.Tensor) and torch._C._functorch.is_batchedtensor(thing)


def is_imaginary(tensor: torch.Tensor) -> bool:
    """Whether a tensor is shape only (meta, fake), stands for many, or is traced: what is done with it trains nothing."""
    with TorchFunctionDisabled():
        kind = type(tensor)
        if kind is torch.Tensor or kind is torch.nn.Parameter:
            return tensor.is_meta or functorch_wraps(tensor)
        return kind.__module__.startswith("torch._subclasses") or tensor.is_meta


def functorch_wraps(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a transform's stand-in for another; 2.6 to 2.13."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


#: How many function modes of the script are on, the innermost ``torch.func`` transform or None, what ``torch.jit`` traces or
#: None: functions of C, 2.6 to 2.13. ``known_calls.c`` calls them, and puts hooks on tensors as ``Tensor.register_hook`` does,
#: by ``_backward_hooks`` and ``_register_hook_dict``.
function_mode_depth: Callable[[], int] = torch._C._len_torch_function_stack
transform_level: Callable[[], Any] = torch._C._functorch.maybe_current_level
tracing_state: Callable[[], Any] = torch._C._get_tracing_state


def is_transformed() -> bool:
    """Whether a ``torch.func`` transform is going on; 2.6 to 2.13."""
    return torch._C._functorch.maybe_current_level() is not None


def is_traced() -> bool:
    """Whether ``torch.jit`` traces; 2.6 to 2.13."""
    return torch._C._get_tracing_state() is not None


def is_in_forward_mode() -> bool:
    """Whether forward-mode differentiation is going on; 2.6 to 2.13."""
    return forward_ad._current_level >= 0


#: Leaves of nested lists, tuples and dicts, and a context in which a write counts no version; 2.6 to 2.13.
tree_leaves: Callable[[Any], list[Any]] = _pytree.tree_leaves
version_kept: Any = grad_mode._unsafe_preserve_version_counter

# -- backward ---------------------------------------------------------------------------------------------------------

#: What all of ``Tensor.backward``, ``torch.autograd.backward`` and ``torch.autograd.grad`` call, with tuples; 2.6 to 2.13. The second is
#: where torch's own replacements of it look it up.
BACKWARD_OWNERS = (torch.autograd, torch.autograd.graph)
RUN_BACKWARD = "_engine_run_backward"


class BackwardCall(NamedTuple):
    """Arguments of a backward.

    Attributes:
        outputs: tensors, or edges of the graph, where it starts.
        gradients: of each output; None leaves the engine to take 1.
        keeps_graph: whether the graph can be used again, or differentiated further.
        inputs: where it goes to; nothing for all leaves.
        accumulates: whether gradients are added to the leaves, rather than returned.
    """

    outputs: Sequence[Any]
    gradients: Sequence[Any]
    keeps_graph: bool
    inputs: Sequence[Any]
    accumulates: bool


def backward_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BackwardCall:
    """Read the arguments of ``RUN_BACKWARD``."""
    names = ("t_outputs", "grad_tensors", "keep_graph", "create_graph", "inputs", "allow_unreachable", "accumulate_grad")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return BackwardCall(
        outputs=given["t_outputs"],
        gradients=given["grad_tensors"],
        keeps_graph=bool(given.get("keep_graph") or given.get("create_graph")),
        inputs=given.get("inputs") or (),
        accumulates=bool(given.get("accumulate_grad")),
    )


#: Number of the backward that this thread is inside of, -1 for none; 2.6 to 2.13.
graph_task_id: Callable[[], int] = torch._C._current_graph_task_id


def in_backward() -> bool:
    """Whether this thread is inside a backward."""
    return graph_task_id() != -1


#: Where the hooks are defined by which a checkpoint that is not reentrant runs its block again; 2.6 to 2.13.
CHECKPOINTS = checkpoint.__name__

#: What a selective checkpoint keeps of its forward, for one backward alone; made anew for each forward. 2.6 to 2.13; None elsewhere.
SELECTIVE_CHECKPOINT: Any = getattr(checkpoint, "_CachingTorchDispatchMode", None)

# -- operations in python ---------------------------------------------------------------------------------------------

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


def scripts_function(node: Any) -> str:
    """Return the name of the autograd function in python, not torch's own, that a node of a graph runs; "" for any other node.

    Those that torch makes of a custom operation count: their gradient is a function of whoever defined it.
    """
    if not isinstance(node, torch.autograd.function.BackwardCFunction):
        return ""
    module = str(getattr(node, "_forward_cls", type(node)).__module__)
    is_torchs = module.startswith("torch.") and module != library_autograd.__name__
    return "" if is_torchs else type(node).__name__.removesuffix("Backward")


# -- clipping ---------------------------------------------------------------------------------------------------------


def clipping_body() -> CellType | None:
    """Return the cell with the function that scales gradients, given their norm; 2.6 to 2.13. None where there is none."""
    clip = getattr(torch.nn.utils.clip_grad, "_clip_grads_with_norm_", None)
    names = getattr(getattr(clip, "__code__", None), "co_freevars", ())
    return dict(zip(names, clip.__closure__ or (), strict=True)).get("func") if clip is not None else None


# -- the compiler -----------------------------------------------------------------------------------------------------


def skip_when_compiling(function: Callable[..., Any]) -> None:
    """Let torch.compile run a function's own frame as it is; what it calls is compiled as ever. 2.6 to 2.13; imports the compiler."""
    from torch._dynamo import decorators

    decorators.skip_code(function.__code__)  # type: ignore[attr-defined]


#: Set what is called with every frame that is about to run, in this thread; return what was. None compiles nothing. A function of C: no
#: frame of its own runs. 2.6 to 2.13; imports no compiler.
set_frame_compiler: Callable[[Any], Any] = torch._C._dynamo.eval_frame.set_eval_frame


#: Attributes of a module that ``torch.compile`` returned, and of one that was compiled in place; 2.6 to 2.13.
ORIGINAL_MODULE = "_orig_mod"
COMPILED_CALL = "_compiled_call_impl"


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a function out of compiled graphs, lazily: a script that does not compile must not import the compiler for it. 2.6 to 2.13."""

    def call(*args: Any) -> Any:  # a function of its own: torch sets an attribute on it, and a method takes none
        return function(*args)

    disable: Callable[[Any], Any] = getattr(torch, "_disable_dynamo", lambda function: function)
    return disable(call)  # type: ignore[no-any-return]


# -- optimizers -------------------------------------------------------------------------------------------------------


def put_first(handle: RemovableHandle) -> None:
    """Let a hook run before those of its kind that were registered earlier; torch has ``prepend`` for modules' hooks alone. 2.6 to 2.13."""
    hooks = handle.hooks_dict_ref()
    if hooks is not None:
        hooks.move_to_end(handle.id, last=False)


#: Where the function around every optimizer's ``step``, which calls its hooks, is defined, and its name; 2.6 to 2.13. What the compiler
#: makes of it keeps both.
_STEPS_FILE = torch_optimizer.register_optimizer_step_pre_hook.__code__.co_filename
_STEPS_NAME = "wrapper"


def is_inner_step(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the step whose hook is running was called by another one of the same optimizer, as ``super().step()`` is.

    Looked up among the calls that are going on: a step that was left by an exception is none of them.

    Returns:
        True for the inner one of two.
    """
    found = 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and found < 2:
        code = frame.f_code
        if _STEPS_NAME in code.co_name and code.co_filename == _STEPS_FILE:
            found += frame.f_locals.get("self") is optimizer
        frame = frame.f_back
    return found == 2


def gradient_of(parameter: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient that a tensor holds; of one that is no leaf and keeps none torch warns when it is asked."""
    return parameter.grad if parameter.is_leaf or parameter.retains_grad else None


# -- swapping ---------------------------------------------------------------------------------------------------------

#: Where ``torch.utils.swap_tensors``, and with it ``Module.to`` and ``load_state_dict``, look for references to a tensor; 2.6 to 2.13.
SWAPPING_OWNER: Any = torch.utils
REFERENCES = "weakref"

# -- kernels ----------------------------------------------------------------------------------------------------------

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


def _own_attributes(kind: type) -> set[str]:
    return {name for base in kind.__mro__ if base not in (torch.Tensor, object) for name in vars(base)}


# -- what a graph keeps for its backward ----------------------------------------------------------------------------------

_saved_names: dict[type, tuple[str, ...]] = {}


#: Whether torch tells of the hooks of a script on what a graph keeps, and gives what is kept without them; 2.13, not 2.6.
TELLS_OF_SAVED_HOOKS = hasattr(torch._C._autograd.SavedTensor, "unpack_hook")


def sequence_number(node: Any) -> int:
    """Return a number that grows with every operation of this thread that autograd follows; 2.6 to 2.13."""
    return int(node._sequence_nr())


def saved_tensors(node: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors that an operation keeps for its backward, by their names, without ``_saved_``; 2.13.

    What a hook of the script would have to bring back (a checkpoint would compute it anew) is left out, and so is what has been changed in
    place or freed since; where torch does not tell of such hooks, everything is.
    """
    kind = type(node)
    names = _saved_names.get(kind)
    if names is None:
        names = _saved_names[kind] = tuple(name.removeprefix("_raw_saved_") for name in dir(kind) if name.startswith("_raw_saved_"))
    found: list[tuple[str, torch.Tensor]] = []
    for name in names:
        try:
            raw = getattr(node, f"_raw_saved_{name}")
            several = raw if isinstance(raw, list | tuple) else (raw,)
            if any(getattr(one, "unpack_hook", raw) is not None for one in several):
                continue
            values = getattr(node, f"_saved_{name}")
        except (RuntimeError, AttributeError):
            continue
        found += [(name, value) for value in (values if isinstance(values, list | tuple) else (values,)) if isinstance(value, torch.Tensor)]
    return found


# -- losses: the functions of C that those of nn.functional end in; 2.6 to 2.13 --------------------------------------------


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


def version(tensor: torch.Tensor) -> int:
    """Return how often a tensor has been written to: 0 of one that was made in inference mode, which torch does not count. 2.6 to 2.13."""
    return 0 if tensor.is_inference() else tensor._version
