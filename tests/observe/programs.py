"""What is expected of the recording of each program in ``tests/programs``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SMALL = ("0:input", "0", "1", "2")
CLOCK = ("clock",)


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
_TWO_CALLS = (*SMALL, "0:2:input", "0:2", "1:2", "2:2")
_THREE_CALLS = (*_TWO_CALLS, "0:3:input", "0:3", "1:3", "2:3")

CASES = [
    Case("plain_mlp", 5),
    Case("reference", 3, ("0:input", "0", "1", "2", "3", "4", "6", "7"), batch_size=6),
    # activations
    Case("inplace_relu", 4, _RESIDUAL, batch_size=4),
    Case("out_of_place_relu", 4, _RESIDUAL, batch_size=4),
    Case("functional_activations", 4, ("conv1:input", "conv1", "conv2:input", "conv2", "fc:input", "fc"), batch_size=4),
    # models that come late, change, share
    Case("lazy_layers", 3, ("0:input", "0", "1", "2", "4"), batch_size=4, evaluations=1),
    Case("replaced_layer", 6, (*SMALL, "2~2", "2~3"), true_but="D28 names are not unique"),
    Case("grown_model", 5, ("layers.0:input", "layers.0", "head:input", "head", "layers.1:input", "layers.1")),
    Case(
        "inserted_layer",
        3,
        tuple(f"layers.{layer}{suffix}" for layer in range(4) for suffix in (":input", "")),
        true_but="D29 moved children lose their model",
    ),
    Case("temporary_wrapper", 3, below("body"), evaluations=3, true_but="D30 a second container takes the layers away"),
    Case("shared_module", 3, ("shared:input", "shared", "act", "shared:2", "act:2", "shared:3", "act:3", "head")),
    Case("two_names_one_module", 3, ("encoder:input", "encoder", "head:input", "head"), true_but="D31 the last name wins"),
    Case("data_parallel", 3),
    Case("deep", 3, ("0:input", *(str(layer) for layer in range(301))), true_but="D30 a slice takes the layers away"),
    Case("strange_names", 3, ("größe:input", "größe", "<script>alert(1)</script>", "層'\"&")),
    Case(
        "trained_twice",
        12,
        (*SMALL, *below("sequential"), *(f"{name}~{n}" for n in (2, 3) for name in below("sequential"))),
        true_but="D28 names are not unique",
    ),
    # outputs
    Case(
        "rich_outputs",
        3,
        (
            "layers.tuple:input",
            *(f"layers.{kind}" for kind in "tuple mask_first loss_first nested dict ordered namedtuple dataclass slots custom".split()),
            "head",
        ),
        true_but="D33 tensors behind masks and in slots are missed",
    ),
    Case("odd_outputs", 3, ("fc:input", "fc", "head"), gaps=("text", "nothing")),
    Case(
        "varying_sizes",
        3,
        ("conv:input", "conv", "flatten", "head:input", "head"),
        batch_size=(5, 3, 1),
        without_gradient=("flatten",),
        gaps=("flatten",),
        true_but="D34 a change of width is not named",
    ),
    Case("unbatched", 3, ("model.0:input", "model.0", "model.1", "head:input", "head"), batch_size=1, true_but="D35 no batch axis"),
    Case(
        "sparse_signal",
        3,
        ("fc:input", "fc", "head:input", "head"),
        gaps=("nested", "sparse"),
        untouched_but="D13 warns",
        true_but="D13 named as faults",
    ),
    Case("complex_weights", 3, ("spectral:input", "head:input", "head"), gaps=("spectral",), true_but="D41 a complex output is not named"),
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
        ("cell:input", "cell", *(f"cell:{n}" for n in range(2, 9)), "head:input", "head"),
        batch_size=4,
        gaps=("calls beyond 8",),
    ),
    Case("attention", 3, ("one:input", "one", "two:input", "two", "head:input", "head"), batch_size=4),
    Case("encoder_batch_first", 3, _ENCODER, batch_size=4, evaluations=3),
    Case(
        "encoder_time_first",
        3,
        ("self_attn:input", "self_attn", "norm1:input", "norm1", "linear1", "dropout", "linear2", "norm2:input", "norm2"),
        batch_size=4,
    ),
    Case("gpt", 4, _GPT, batch_size=4),
    # micro-steps, several models, several optimizers
    Case("accumulation", 3, micro_steps=4, batch_size=32, true_but="D12 the batch size is that of the first micro-step"),
    Case("gan", 6, (*below("netD"), *below("netG")), micro_steps=(2, 1) * 3, batch_size=None),
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
    Case("hand_written_optimizer", 4, events=CLOCK),
    Case("autograd_grad_sgd", 4, events=CLOCK, true_but="D15 autograd.grad is not seen"),
    Case("autograd_grad_with_optimizer", 4, true_but="D15 autograd.grad is not seen"),
    Case("functional_training", 0, (), gaps=("torch.func",), true_but="D15 nothing is said"),
    Case("functional_with_optimizer", 4, (), micro_steps=0, batch_size=None, gaps=("torch.func",), true_but="D15 nothing is said"),
    Case("sparse_embedding", 4, ("embedding", "bag", "head:input", "head"), batch_size=4),
    Case("optimizer_in_backward", 4),
    Case("late_optimizer", 4, events=CLOCK),
    Case("flat_buffer", 3, gaps=("parameter",), true_but="D37 the flat buffer is not named"),
    Case("trained_in_eval_mode", 3, ("backbone.0:input", "backbone.0", "backbone.1", "backbone.2", "head"), true_but="D18 dropped"),
    # learning rates, precision
    Case("schedulers", 60),
    Case("one_cycle_momentum", 6),
    Case("tensor_rate", 5, true_but="D10 the rate of the next step"),
    Case("grad_scaler", 6, skipped=(2,), events=("divergence",)),
    Case("grad_scaler_fused", 6, skipped=(2,), events=("divergence",)),
    Case("grad_scaler_two_losses", 3, micro_steps=(2, 2, 1), true_but="D11 scaled losses"),
    Case("autocast", 4, ("0:input", "0", "1", "2", "4"), batch_size=4),
    Case("precision float64", 4),
    Case("precision bfloat16", 4),
    Case("converted_mid_run", 4),
    Case("convnet contiguous", 3, ("0:input", *"01234567", "9"), batch_size=4),
    Case("convnet channels_last", 3, ("0:input", *"01234567", "9"), batch_size=4),
    # recomputation, copies, saving
    Case("checkpoint none", 4, _CHECKPOINTED, micro_steps=2, true_but="D12 the batch size is that of the first micro-step"),
    Case("checkpoint plain", 4, _CHECKPOINTED, micro_steps=2, true_but="D12 the batch size is that of the first micro-step"),
    Case("checkpoint reentrant", 4, _CHECKPOINTED, micro_steps=2, true_but="D21 depth is the order of recomputation"),
    Case("checkpointed_model", 3, true_but="D22 counted as an evaluation"),
    Case("ema", 4, evaluations=8, true_but="D23 a copy's first evaluation counts once a leaf"),
    Case("target_network", 4, evaluations=4, true_but="D23 a copy's first evaluation counts once a leaf"),
    Case("saving", 5, (*SMALL, *below("model")), untouched_but="D6 the hook on a saved tensor warns", true_but="D6"),
    Case("scripting", 5, evaluations=6, untouched_but="D2 a scripted module fails", true_but="D2"),
    Case("scripted_training", 6, ("",), untouched_but="D2 a scripted module fails", true_but="D2"),
    Case("meta_shapes", 4, untouched_but="D1 fake tensors kill the process", true_but="D1"),
    # evaluation
    Case("evaluation", 6, evaluations=16, true_but="D24 a softmax counts as a model"),
    Case("sloppy_evaluation", 6, ("0:input", "0", "1", "2", "3", "4"), evaluations=32, true_but="D17 evaluation shifts the calls"),
    Case("frozen_norm", 3, ("0:input", "0", "1", "2", "3")),
    Case(
        "frozen_backbone",
        3,
        ("backbone.0:input", "backbone.0", "backbone.1", "head"),
        without_gradient=("backbone.0", "backbone.1"),
    ),
    Case("frozen_teacher", 3, ("head:input", "head"), evaluations=3, gaps=("backbone",), true_but="D38 not named"),
    Case("siamese", 4, _THREE_CALLS, without_gradient=("0:2", "1:2", "2:2")),
    # parametrised and tied weights
    Case("parametrised", 4, ("0:input", "0", "1", "2", "3", "4", "5"), true_but="D20 parametrisations are taken for layers"),
    Case("old_weight_norm", 4, ("0:input", "0", "1", "3"), batch_size=5),
    Case("tied_weights", 4, ("embed", "mix", "out:input", "out"), batch_size=4),
    # losses and gradients
    Case("double_backward", 3, micro_steps=2),
    Case("wgan_gp 0 none", 4, _TWO_CALLS),
    Case("wgan_gp 0 penalty", 4, _THREE_CALLS),
    Case("wgan_gp 10 penalty", 4, _THREE_CALLS),
    Case("curvature none", 3),
    Case("curvature measured", 3),
    Case("batched_gradients none", 3),
    Case("batched_gradients measured", 3, untouched_but="D14 the hooks meet batched tensors", true_but="D14, D17"),
    Case("vector_loss", 3, gaps=("loss",), true_but="D27 not named"),
    Case("several_losses", 3, true_but="D27 the sum of the losses is known"),
    Case("loss_changed_afterwards", 4, true_but="D9 the loss is aliased"),
    Case("zero_first_loss", 5, untouched_but="D4 division by zero", true_but="D4"),
    Case("loss_module", 3, true_but="D25 a loss is no layer"),
    Case("nan_loss", 31, events=("schedule", "divergence")),
    Case("guarded_nan", 25, status="exited", events=("divergence",), true_but="D36 the end is not recorded"),
    Case("raises_at_step_3", 3, status="crashed"),
    # the script's own machinery
    Case("user_hooks", 3, ("0:input", "0", "1", "2", "3", "4")),
    Case("raising_hook", 3, true_but="D16 a failed forward shifts the calls"),
    Case("failed_backward", 3, true_but="D16 a failed backward shifts the calls"),
    Case("failed_step", 4, true_but="D8 a failed step ends the recording"),
    Case("forward_mode", 3, true_but="D26 taken for a training forward"),
    Case("watched_operations", 3, untouched_but="D7 the recorder's operations are seen"),
    Case("tensor_subclass", 3, untouched_but="D7 the recorder's operations are seen"),
    Case("wrapper_subclass", 3, untouched_but="D1 a tensor without memory kills the process", true_but="D1"),
    Case("lazy_negation", 3, ("0:input", "0", "1", "2", "3")),
    Case("settings", 4, ("0:input", "0", "1", "3"), untouched_but="D5 float64 by default", true_but="D5"),
    Case("randomness", 6, ("0:input", "0", "1", "2", "3")),
    Case("forked_child", 6),
    Case("threads", 5, evaluations=-1, true_but="D23 an evaluated copy changes names"),
]
