"""What is expected of the recording of each program in ``tests/programs``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SMALL = ("0:input", "0", "1", "2")
CLOCK = ("clock",)


def again(number: int) -> tuple[str, ...]:
    """The layers of a model that is made like ``number`` - 1 before it, under the same names."""
    parts = [one.partition(":") for one in SMALL]
    return tuple(f"{name}~{number}{colon}{role}" for name, colon, role in parts)


def below(prefix: str, layers: Sequence[str] = SMALL) -> tuple[str, ...]:
    return tuple(f"{prefix}.{layer}" for layer in layers)


@dataclass(frozen=True)
class Case:
    """A program and what the recorder must say of it.

    Attributes:
        program: name, and arguments if there are any.
        steps: optimizer steps.
        layers: names in order of depth.
        micro_steps: backward calls of each step.
        batch_size: samples of each step; None leaves it open.
        evaluations: forward passes that belong to no step, in all.
        skipped: steps that a gradient scaler skipped.
        without_gradient: layers whose output has no gradient.
        gaps: words that the entries on what could not be seen must name, in order.
        events: kinds of events, in order.
        status: how the run ended.
        untouched_but: the defect that lets the recorder change the training.
        true_but: the defect that makes the recording wrong.
    """

    program: str
    steps: int
    layers: Sequence[str] = SMALL
    micro_steps: int | tuple[int, ...] = 1
    batch_size: int | tuple[int, ...] | None = 8
    evaluations: int = 0
    skipped: tuple[int, ...] = ()
    without_gradient: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    status: str = "finished"
    untouched_but: str = ""
    true_but: str = ""


_RESIDUAL = ("0:input", "0", "1", "2", *(f"{block}.{part}" for block in (3, 4) for part in ("bn", "act", "conv", "norm", "out")), "5", "7")
_THREE_FOLDS = (*SMALL, *again(2), *again(3))
_FIFTY_TWO = (*SMALL, *(name for n in range(2, 53) for name in again(n)))
_CHECKPOINTED = (
    *("stem:input", "stem", "blocks.0.fc", "blocks.0.norm", "blocks.0.act"),
    *(f"blocks.{block}.{part}" for block in (1, 2) for part in ("fc:input", "fc", "norm", "act")),
    *("head:input", "head"),
)
_ENCODER = tuple(
    f"layers.{layer}.{part}"
    for layer in (0, 1)
    for part in (
        *(("self_attn:input",) if layer == 0 else ()),
        *("self_attn", "dropout1", "norm1:input", "norm1", "linear1", "dropout", "linear2", "dropout2", "norm2:input", "norm2"),
    )
)
_GPT_BLOCK = (
    *("ln1:input", "ln1", "attn.qkv", "attn.proj:input", "attn.proj", "attn.drop"),
    *("ln2:input", "ln2", "mlp.up", "mlp.act", "mlp.down"),
)
_GPT = (
    *("transformer.wte", "transformer.wpe"),
    *(f"transformer.h.{block}.{part}" for block in (0, 1) for part in _GPT_BLOCK),
    *("ln_f:input", "ln_f", "lm_head"),
)


def _cell_calls(calls: int) -> tuple[str, ...]:
    """A cell's layers where it gets a slice of time at each call."""
    later = (f"cell:{call}{role}" for call in range(2, calls + 1) for role in (":input", ""))
    return ("cell:input", "cell", *later)


_TWO_CALLS = (*SMALL, "0:2:input", "0:2", "1:2", "2:2")
_THREE_CALLS = (*_TWO_CALLS, "0:3:input", "0:3", "1:3", "2:3")

CASES = [
    Case("plain_mlp", 5),
    Case("two_trainings", 300, gaps=("another thread",), events=("schedule",)),
    Case("reference", 3, ("0:input", "0", "1", "2", "3", "4", "6", "7"), batch_size=6),
    # what a diagnosis asks for
    *(Case(f"evidence {kind}", 6) for kind in ("plain", "zeroed", "no_zero_grad", "equal_rows", "forgotten")),
    Case("evidence frozen", 6, without_gradient=("0", "1")),
    Case("evidence accumulating", 6, micro_steps=2, batch_size=16),
    Case("evidence squashed", 6, (*SMALL, "3")),
    Case("evidence batch_norm", 6, ("0:input", "0", "1", "2", "3")),
    Case("evidence validated", 6, ("0:input", "0", "1", "2", "3"), evaluations=2),
    Case("evidence evaluating", 6, ("0:input", "0", "1", "3")),
    Case("evidence repeated", 6, ("first:input", "first", "norm", "norm:2:input", "norm:2", "head:input", "head")),
    # activations
    Case("inplace_relu", 4, _RESIDUAL, batch_size=4),
    Case("out_of_place_relu", 4, _RESIDUAL, batch_size=4),
    Case("functional_activations", 4, ("conv1:input", "conv1", "conv2:input", "conv2", "fc:input", "fc"), batch_size=4),
    # models that come late, change, share
    Case("lazy_layers", 3, ("0:input", "0", "1", "2", "4"), batch_size=4, evaluations=1),
    Case("replaced_layer", 6, (*SMALL, "2~2", "2~3")),
    Case("grown_model", 5, ("layers.0:input", "layers.0", "head:input", "head", "layers.1:input", "layers.1")),
    Case(
        "inserted_layer",
        3,
        tuple(f"layers.{layer}{role}" for layer in range(4) for role in (":input", "")),
    ),
    Case("temporary_wrapper", 3, below("body"), evaluations=3),
    Case("shared_module", 3, ("shared:input", "shared", "act", "shared:2", "act:2", "shared:3", "act:3", "head")),
    Case("parts_called", 12, ("encoder:input", "encoder", "relu", "head")),
    Case("sampled_between", 3),
    Case("forward_called", 3, ("stem:input", "stem", "head:input", "head"), gaps=("hidden",)),
    Case("two_names_one_module", 3, ("encoder:input", "encoder", "head:input", "head")),
    Case("data_parallel", 3),
    Case("deep", 3, ("0:input", *(str(layer) for layer in range(301)))),
    Case("strange_names", 3, ("größe:input", "größe", "<script>alert(1)</script>", "層'\"&")),
    Case("trained_twice", 12, (*SMALL, *again(2), *again(3), *again(4)), events=("schedule",)),
    # outputs
    Case(
        "rich_outputs",
        3,
        (
            "layers.tuple:input",
            *(f"layers.{kind}" for kind in "tuple mask_first loss_first nested dict ordered namedtuple dataclass slots custom".split()),
            "head",
        ),
    ),
    Case("odd_outputs", 3, ("fc:input", "fc", "head"), gaps=("text", "nothing")),
    Case("reused_buffers", 3, ("stem:input", "stem", "norm", "act", "head"), batch_size=(4, 8, 64)),
    Case("varying_sizes", 3, ("conv:input", "conv", "attention", "head:input", "head"), batch_size=(5, 3, 1), gaps=("attention",)),
    Case("unbatched", 3, ("model.0:input", "model.0", "model.1", "head:input", "head"), batch_size=1),
    Case(
        "sparse_signal",
        3,
        ("fc:input", "fc", "head:input", "head"),
        gaps=("nested", "sparse"),
    ),
    Case("replaced_functions", 6),
    Case("packed_once", 6),
    Case("shown_tracebacks", 6, ("0:input", "0", "2", "3"), gaps=("another thread",)),
    Case("own_attributes", 3, (*(f"body.inner.inner.{layer}" for layer in SMALL), "head")),
    Case("called_unmeasured", 3, ("body:input", "body")),
    Case("sparse_weight", 3, ("0:input", "0", "1")),
    Case("logged_and_warned", 5),
    Case("inference_features", 5, ("0", "0:2", "2"), evaluations=5, without_gradient=("0", "0:2")),
    Case("many_models", 238, _FIFTY_TWO, gaps=("made late",), events=("schedule",)),
    Case("complex_weights", 3, ("spectral:input", "head:input", "head"), gaps=("spectral",)),
    # sequences
    Case(
        "recurrent",
        3,
        ("lstm:input", "lstm", "gru", "packed", "cell", "cell:2", "cell:3", "cell:4", "cell:5"),
        batch_size=4,
        without_gradient=("packed",),  # the loss uses its state, not its output
    ),
    Case(
        "long_cell_loop",
        3,
        (*_cell_calls(8), "head:input", "head"),
        batch_size=4,
        gaps=("calls beyond 8",),
    ),
    Case("attention", 3, ("one:input", "one", "two:input", "two", "head:input", "head"), batch_size=4),
    Case("evaluated_parts", 4, below("net"), evaluations=12),
    Case("encoder_batch_first", 3, _ENCODER, batch_size=4, evaluations=3),
    Case(
        "encoder_time_first",
        3,
        ("self_attn:input", "self_attn", "norm1:input", "norm1", "linear1", "dropout", "linear2", "norm2:input", "norm2"),
        batch_size=4,
    ),
    Case("gpt", 4, _GPT, batch_size=4),
    # micro-steps, several models, several optimizers
    Case("accumulation", 3, micro_steps=4, batch_size=32),
    Case(
        "gan",
        6,
        (*below("netD"), *below("netG")),
        micro_steps=(2, 1) * 3,
        batch_size=None,
    ),
    Case(
        "gan_joint",
        3,
        (*below("netG"), *below("netD", ("0", "1", "2", "0:input", "0:2:input", "0:2", "1:2", "2:2"))),
        micro_steps=2,
        batch_size=None,
    ),
    Case("two_optimizers", 4),
    Case("lbfgs", 3, micro_steps=(5, 6, 6), batch_size=None),
    Case("lightning_closure", 4),
    Case("subclassed_step", 4),
    Case("manual_updates", 6, events=CLOCK),
    Case("uncleared_by_hand stays", 6, events=CLOCK),
    Case("uncleared_by_hand gathered", 6, events=CLOCK),
    Case(
        "gan_by_hand",
        8,
        (*below("netD", ("0:input", "0", "1", "2", "0:2:input", "0:2", "1:2", "2:2")), *below("netG")),
        batch_size=None,
        events=CLOCK,
    ),
    Case("by_hand_first", 7, micro_steps=(1, 1, 1, 2, 2, 2, 2), batch_size=None, events=CLOCK),
    Case("hand_written_optimizer", 4, events=CLOCK),
    Case("autograd_grad_sgd", 4, events=CLOCK),
    Case("autograd_grad_with_optimizer", 4),
    Case("functional_training", 0, (), gaps=("torch.func",)),
    Case("shapes_only", 0, (), gaps=("without numbers",)),
    Case("functional_with_optimizer", 4, (), micro_steps=0, batch_size=None, gaps=("torch.func",)),
    *(Case(f"iterators {what}", 4) for what in ("losses", "leaves", "gradients")),
    Case("iterators inner", 4, (*SMALL, "0:2", "1:2", "2:2")),
    Case("scripted_forces", 3, ("RecursiveScriptModule:input", "RecursiveScriptModule"), gaps=("net.0", "net.2")),
    Case("public_functions", 3),
    *(Case(f"odd_steps {form}", 4) for form in ("loss", "rate", "model", "refuses", "unhashable", "object", "function")),
    Case("not_a_leaf", 3, (), batch_size=None, gaps=("parameters of SGD",)),
    *(Case(f"short_lives {form}", 6, _THREE_FOLDS) for form in ("plain", "scaled")),
    Case("short_lives closure", 6, _THREE_FOLDS, micro_steps=20, batch_size=None),
    Case("short_lives hand", 6, _THREE_FOLDS, events=CLOCK),
    Case("sparse_embedding", 4, ("embedding", "bag", "head:input", "head"), batch_size=4),
    Case("optimizer_in_backward", 4),
    Case("late_optimizer", 4, events=CLOCK),
    Case("flat_buffer", 3, gaps=("parameter",)),
    Case("trained_in_eval_mode", 3, ("backbone.0:input", "backbone.0", "backbone.1", "backbone.2", "head")),
    # learning rates, precision
    Case("schedulers", 60, events=("schedule",)),
    Case("one_cycle_momentum", 6),
    Case("tensor_rate", 5),
    Case("grad_scaler", 6, skipped=(2,), events=("schedule",)),
    Case("grad_scaler_fused", 6, skipped=(2,), events=("schedule",)),
    Case("grad_scaler_two_losses", 3, micro_steps=(2, 2, 1)),
    Case("autocast", 4, ("0:input", "0", "1", "2", "4"), batch_size=4),
    Case("precision float64", 4),
    Case("precision bfloat16", 4),
    Case("converted_mid_run", 4),
    Case("convnet contiguous", 3, ("0:input", *"01234567", "9"), batch_size=4),
    Case("convnet channels_last", 3, ("0:input", *"01234567", "9"), batch_size=4),
    # recomputation, copies, saving
    Case("checkpoint none", 4, _CHECKPOINTED, micro_steps=2),
    Case("checkpoint plain", 4, _CHECKPOINTED, micro_steps=2),
    Case("checkpoint reentrant", 4, _CHECKPOINTED, micro_steps=2),
    Case("selective_checkpoint", 4),
    Case("checkpointed_first", 4, ("first.0:input", "first.0", "first.1", "head:input", "head")),
    Case("checkpointed_model", 3, true_but="the batch size is not known where the first forward is hidden"),
    Case("ema", 4, evaluations=8),
    Case("target_network", 4, evaluations=4),
    Case("saving", 5, (*SMALL, *again(2))),
    Case("scripting", 5, evaluations=6),
    Case("scripted_training", 6, ("RecursiveScriptModule:input", "RecursiveScriptModule", "compiled:input", "compiled"), evaluations=1),
    Case("meta_shapes", 4),
    Case("fake_training fake", 4),
    Case("fake_training meta", 4),
    # evaluation
    Case("evaluation", 6, evaluations=16),
    Case(
        "sloppy_evaluation",
        6,
        ("0:input", "0", "1", "2", "3", "4"),
        evaluations=32,
        true_but="the evaluation after the last step is not counted",
    ),
    Case("scoring 300", 6, ("0:input", *map(str, range(21))), evaluations=-1, gaps=("no backward followed",)),
    Case("unrolled", 4, ("Generation:input", "Generation", *(f"Generation:{call}" for call in range(2, 13)))),
    Case("rollouts", 4, ("body.0:input", "body.0", "body.1", "actor", "critic"), batch_size=(128, 128, 40, 128)),
    Case("recursive_modules", 3, ("leaf", "join:input", "join"), batch_size=None, evaluations=-1, gaps=("no backward followed",)),
    Case(
        "partly_by_hand",
        4,
        ("body:input", "body", "head:input", "head", "still"),
        gaps=("body.bias", "body.weight", "scale"),
    ),
    Case("strict_numpy", 6, ("0:input", "0", "1", "2", "3")),
    Case("frozen_norm", 3, ("0:input", "0", "1", "2", "3")),
    Case(
        "frozen_backbone",
        3,
        ("backbone.0:input", "backbone.0", "backbone.1", "head"),
        without_gradient=("backbone.0", "backbone.1"),
    ),
    Case(
        "frozen_teacher",
        3,
        ("head:input", "head"),
        evaluations=3,
        gaps=("backbone",),
    ),
    Case("siamese", 4, _TWO_CALLS),
    # parametrised and tied weights
    Case(
        "parametrised",
        4,
        ("0:input", "0", "1", "2", "3", "4", "5"),
    ),
    Case("old_weight_norm", 4, ("0:input", "0", "1", "3"), batch_size=5),
    Case("tied_weights", 4, ("embed", "mix", "out:input", "out"), batch_size=4),
    # losses and gradients
    Case("double_backward", 3, micro_steps=2),
    Case("wgan_gp 0 none", 4, _TWO_CALLS),
    Case("wgan_gp 0 penalty", 4, _THREE_CALLS, without_gradient=("1:3", "2:3")),
    Case("wgan_gp 10 penalty", 4, _THREE_CALLS, without_gradient=("1:3", "2:3")),  # the penalty is linear in these
    Case("curvature none", 3),
    Case("curvature measured", 3),
    Case("batched_gradients none", 3),
    Case("batched_gradients measured", 3),
    Case("vector_loss", 3, gaps=("loss",)),
    Case("several_losses", 3),
    Case("loss_changed_afterwards", 4),
    Case("zero_first_loss", 5),
    Case("signed_loss likelihood", 40, events=("schedule",)),
    Case("signed_loss critic", 40, events=("warning",)),
    Case("signed_loss explodes", 40, events=("schedule", "warning", "divergence")),
    Case("loss_module", 3),
    Case("nan_loss", 31, events=("warning", "divergence")),
    Case(
        "guarded_nan",
        26,
        micro_steps=(*[1] * 25, 0),
        batch_size=None,
        status="exited",
        events=("divergence",),
    ),
    Case("raises_at_step_3", 3, status="crashed"),
    Case("replaced_by_another starts", 4, status="exited"),
    Case("replaced_by_another fails", 4),
    # the script's own machinery
    Case("user_hooks", 3, ("0:input", "0", "1", "2", "3", "4")),
    Case("raising_hook", 3),
    Case("failed_backward", 3),
    Case("failed_step", 4),
    Case("forward_mode", 3),
    *(Case(f"forward_only {how}", 4, (), micro_steps=0, batch_size=None, evaluations=-1, gaps=("0", "2")) for how in ("duals", "search")),
    Case("forward_only hand", 0, (), evaluations=-1, gaps=("without a backward",)),
    Case("watched_operations", 3),
    Case("tensor_subclass", 3),
    Case("wrapper_subclass", 3),
    Case("own_operations", 5, ("0:input", "0", "1:input", "1")),
    Case(
        "backward_in_backward",
        5,
        ("0:input", "0", "1.first:input", "1.first", "1.second:input", "1.second", "2:input", "2"),
    ),
    Case("long_graph", 2),
    Case("watched_for_a_step", 8, evaluations=1),
    Case("watched_surroundings", 5, ("0:input", "0", "1", "2", "3")),
    Case("own_dispatch", 6, ("0:input", "0", "1"), batch_size=None, without_gradient=("0", "1"), gaps=("loss", "2.weight")),
    Case("lazy_negation", 3, ("0:input", "0", "1", "2", "3")),
    Case("settings", 4, ("0:input", "0", "1", "3")),
    Case("randomness", 6, ("0:input", "0", "1", "2", "3")),
    Case("profiled", 6, ("0:input", "0", "1", "2", "3")),
    Case("warning_levels", 5),
    Case("truthless_modules", 4, ("0:input", "0", "1"), evaluations=-1),
    Case("swapped", 6),
    Case("own_parameters", 4, ("body:input", "body", "norm", "head:input", "head"), evaluations=4),
    Case("forked_child", 6),
    Case("threads", 5, evaluations=-1),
]
