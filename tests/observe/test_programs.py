"""Every program trains to the same bits with the recorder as without, and the recorder tells the truth about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.observe.options import FIGURES
from bnprobe.store.reader import Run
from tests.observe.conftest import PROGRAMS, Comparison
from tests.observe.programs import CASES, Case
from tests.suites import shortened

Compare = Callable[..., Comparison]


#: The programs of the short suite: one of each way in which a training is put together. The long suite has all of them.
EVERYDAY = set(
    "accumulation autocast autograd_grad_sgd batched_gradients checkpoint convnet deep double_backward ema encoder_batch_first evaluation "
    "failed_step forked_child frozen_backbone functional_training gan gpt grad_scaler grown_model inplace_relu iterators lazy_layers lbfgs "
    "manual_updates nan_loss odd_steps optimizer_in_backward parametrised plain_mlp raises_at_step_3 recurrent reference reused_buffers "
    "schedulers scripted_training shared_module sparse_embedding tensor_subclass tied_weights two_optimizers user_hooks "
    "varying_sizes".split()
)


#: Programs whose steps are put on a tape: one of each thing that a script does between forward and step. The benchmark of the what-if
#: compares all.
TAPED = (
    *("accumulation", "autocast", "convnet contiguous", "ema", "forked_child", "gan", "gpt", "grad_scaler"),
    *("inplace_relu", "recurrent", "tied_weights", "two_optimizers"),
)


def _cases(defect: str) -> list[Any]:
    """Every case: in the short suite is one way to run each of the everyday programs."""
    left = set(EVERYDAY)
    cases = []
    for case in CASES:
        name = case.program.split()[0]
        marks = [] if name in left else [pytest.mark.slow]
        if reason := getattr(case, defect):
            marks.append(pytest.mark.xfail(strict=True, reason=reason))
        left.discard(name)
        cases.append(pytest.param(case, id=case.program.replace(" ", "-"), marks=marks))
    assert not left, f"no such programs: {sorted(left)}"
    return cases


@pytest.mark.parametrize("case", _cases("untouched_but"))
def test_training_is_untouched(compare: Compare, case: Case) -> None:
    ran = compare(case.program)
    assert ran.recorded.stdout == ran.plain.stdout
    assert "digest" in ran.plain.stdout
    assert own_words(ran.recorded.stderr) == own_words(ran.plain.stderr)
    assert ran.recorded.status == ran.plain.status


@pytest.mark.parametrize("program", TAPED)
@pytest.mark.slow
def test_training_is_untouched_by_its_tape(compare: Compare, program: str) -> None:
    ran = compare(program, what_if=12)
    assert ran.recorded.stdout == ran.plain.stdout
    assert "digest" in ran.plain.stdout
    assert own_words(ran.recorded.stderr) == own_words(ran.plain.stderr)
    assert ran.recorded.status == ran.plain.status
    assert ran.run.attributes["what_if_refused"]


@pytest.mark.parametrize(
    "options",
    [{"line_probe": 1, "line_probe_channels": True}, {"audit": 1}, {"figures": FIGURES, "figures_at": tuple(range(8))}, {"curvature": 1}],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.slow
def test_no_operation_of_a_probe_is_seen_by_the_script(compare: Compare, options: dict[str, Any]) -> None:
    ran = compare("watched_for_a_step", **options)
    assert "'aten.addmm.default'" in ran.plain.stdout
    assert ran.recorded.stdout == ran.plain.stdout


@pytest.mark.slow
def test_a_graph_that_is_too_long_to_be_walked_is_let_go_of_as_ever(compare: Compare) -> None:
    ran = compare("long_graph", curvature=1, figures=("jacobian",))
    assert (ran.recorded.status, ran.recorded.stdout) == (0, ran.plain.stdout)
    assert "curvature" in {gap.subject for gap in ran.run.gaps if "the graph of the loss has more than" in gap.reason}


@pytest.mark.parametrize("case", _cases("true_but"))
def test_recording_is_true(compare: Compare, case: Case) -> None:
    _check(compare(case.program), case)


@pytest.mark.parametrize("program", ["reference", "inplace_relu", "recurrent", "convnet channels_last", "precision bfloat16", "nan_loss"])
@pytest.mark.slow
def test_torch_alone_measures_the_same(compare: Compare, program: str) -> None:
    """Where no compiler was at hand when bnprobe was installed."""
    ran = compare(program, compiled=False)
    assert ran.recorded.stdout == ran.plain.stdout
    _check(ran, next(case for case in CASES if case.program == program))
    _check_same_signals(ran.run, compare(program).run)


def _check(ran: Comparison, case: Case) -> None:
    run = ran.run
    assert run.problems == []
    assert run.status == case.status
    assert run["step"].tolist() == list(range(case.steps))
    assert [layer.name for layer in run.layers] == list(case.layers)
    assert run["layers_observed"].tolist() == [1] * case.steps
    assert run["micro_steps"].tolist() == _each(case.micro_steps, case.steps)
    if case.batch_size is not None:
        assert run["batch_size"].tolist() == _each(case.batch_size, case.steps)
    if case.evaluations >= 0:
        assert run["evaluations"].sum() == case.evaluations
    assert np.flatnonzero(run["skipped"] == 1).tolist() == list(case.skipped)
    assert _without_gradient(run) == set(case.without_gradient)
    assert [event.kind for event in run.events] == list(case.events)
    assert len(run.gaps) == len(case.gaps), run.gaps
    for gap, words in zip(run.gaps, case.gaps, strict=True):
        assert words in gap.subject
        assert not gap.reason.startswith("a fault of bnprobe")
    _check_losses(run, ran.plain.stdout)
    _check_norms(run, ran.plain.stdout)
    _check_rates(run, ran.plain.stdout)


def test_every_program_is_expected_somewhere() -> None:
    elsewhere = {
        "common",
        "broken_recorder",
        "broken_clock",
        "long_run",
        "line_of_sight",
        "quadratic",
        "born_unseen",
        "trained_between",
        "rising_loss",
        "residual_1d",
        "trained_elsewhere",
        "compiled",
        "compiled_outputs",
        "compiled_side_effects",
        "compiled_steps",
        "audited",
        "counting_hooks",
        "max_steps",
        "no_second_derivative",
        "data_workers",
        "deadlines",
        "distributed",
        "ends",
        "killed_when_diverged",
        "shifted_tokens",
        "threads_of_torch",
    }
    assert {path.stem for path in PROGRAMS.glob("*.py")} == {case.program.split()[0] for case in CASES} | elsewhere


# -- the same training, done in two ways ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    shortened(
        [
            ("inplace_relu", "out_of_place_relu"),
            ("checkpoint none", "checkpoint plain"),
            ("compiled_outputs plain", "compiled_outputs compiled"),
            ("checkpoint none", "checkpoint reentrant"),
            ("convnet contiguous", "convnet channels_last"),
            ("curvature none", "curvature measured"),
            ("wgan_gp 0 none", "wgan_gp 0 penalty"),
            ("batched_gradients none", "batched_gradients measured"),
        ],
        2,
    ),
)
def test_the_same_training_makes_the_same_recording(compare: Compare, one: str, other: str) -> None:
    _check_same_signals(compare(one).run, compare(other).run)


def _check_same_signals(first: Run, second: Run) -> None:
    places = {layer.name: index for index, layer in enumerate(second.layers)}
    # Reentrant checkpointing detaches the inputs of its blocks: no gradient passes there.
    outputs = [(index, places[layer.name]) for index, layer in enumerate(first.layers) if layer.role == "output"]
    mine, theirs = (list(column) for column in zip(*outputs, strict=True))
    for name in first.variables:
        if name.startswith("activation"):
            found = first[name][np.isfinite(first[name])]
            scale = float(np.abs(found).max()) if found.size else 0.0
            np.testing.assert_allclose(second[name][:, theirs], first[name][:, mine], rtol=2e-4, atol=1e-6 * scale, err_msg=name)


# -- numbers that a program knows of itself ---------------------------------------------------------------------------


def test_signals_equal_what_the_script_sees(compare: Compare) -> None:
    ran = compare("reference")
    run = ran.run
    places = {layer.name: index for index, layer in enumerate(run.layers)}
    for step, layers in enumerate(_said(ran.plain.stdout, "signals")):
        for name, signals in layers.items():
            for prefix, kind in (("activation", "activation"), ("activation_gradient", "gradient")):
                common, between, within, largest = signals[kind]
                index = (step, places[name])
                energy = common + between + within
                for variable, true in (("common_energy", common), ("between_energy", between), ("within_energy", within)):
                    # the float32 gradient of a normalised signal has a mean of rounding errors only
                    assert run[f"{prefix}_{variable}"][index] == pytest.approx(true, rel=1e-4, abs=1e-6 * energy), (name, prefix, variable)
                assert run[f"{prefix}_rms"][index] == pytest.approx(energy**0.5, rel=1e-5)
                assert run[f"{prefix}_max"][index] == pytest.approx(largest, rel=1e-6)


def test_time_first_layers_keep_their_sample_axis(compare: Compare) -> None:
    ran = compare("encoder_time_first")
    places = {layer.name: index for index, layer in enumerate(ran.run.layers)}
    for step, layers in enumerate(_said(ran.plain.stdout, "between")):
        for name, between in layers.items():
            assert ran.run["activation_between_energy"][step, places[name]] == pytest.approx(between, rel=1e-4), name


def test_what_follows_a_sum_has_the_axes_of_what_was_added(compare: Compare) -> None:
    ran = compare("residual_1d")
    assert ran.recorded.stdout == ran.plain.stdout
    assert {layer.name: layer.channels for layer in ran.run.layers if layer.kind == "activation"} == {"0.relu": 5, "1.relu": 4}


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        ("model.0:input", 2),
        ("model.0", 4),
        ("head", 3),
    ],
)
def test_a_sample_without_batch_axis_keeps_its_channels(compare: Compare, layer: str, channels: int) -> None:
    layers = {known.name: known for known in compare("unbatched").run.layers}
    assert layers[layer].channels == channels


@pytest.mark.parametrize(
    "compiled",
    [True, False],
)
def test_a_lazily_negated_signal_has_its_own_sign(compare: Compare, compiled: bool) -> None:
    run = compare("lazy_negation", compiled=compiled).run
    assert [layer.name for layer in run.layers][2:4] == ["1", "2"]
    for name in ("activation_min", "activation_max"):
        np.testing.assert_array_equal(run[name][:, 2], run[name][:, 3])
    snapshot = run["channel_mean"]
    np.testing.assert_allclose(snapshot[:, run.channel_slice(2)], snapshot[:, run.channel_slice(3)], rtol=1e-6)


@pytest.mark.parametrize("program", ["subclassed_step", "manual_updates"])
def test_updates_are_the_steps_actually_taken(compare: Compare, program: str) -> None:
    ran = compare(program)
    place = [parameter.name for parameter in ran.run.parameters].index("0.weight")
    np.testing.assert_allclose(ran.run["update_norm"][:, place], _said(ran.plain.stdout, "moved"), rtol=1e-5)


def test_momentum_follows_its_schedule(compare: Compare) -> None:
    ran = compare("one_cycle_momentum")
    np.testing.assert_allclose(ran.run["momentum"][:, 0], _said(ran.plain.stdout, "momentum"), rtol=1e-6)


def test_the_norm_before_clipping_is_kept(compare: Compare) -> None:
    ran = compare("grad_scaler")
    np.testing.assert_allclose(np.delete(ran.run["clip_norm"], 2), _said(ran.plain.stdout, "clip"), rtol=1e-5)


def test_the_norm_before_clipping_is_kept_where_the_function_was_imported_by_name(compare: Compare) -> None:
    ran = compare("public_functions")
    np.testing.assert_allclose(ran.run["clip_norm"], _said(ran.plain.stdout, "clip"), rtol=1e-6)


def test_what_a_script_has_let_go_is_gone(compare: Compare) -> None:
    for form in ("plain", "closure", "scaled", "hand"):
        alive = [line for line in compare(f"short_lives {form}").recorded.stdout.splitlines() if line.startswith("alive")]
        assert [line.split(" ", 4)[4] for line in alive] == ["[]"] * 3


def test_closure_evaluations_are_counted(compare: Compare) -> None:
    ran = compare("lbfgs")
    assert ran.run["micro_steps"].tolist() == _said(ran.plain.stdout, "micro")
    assert ran.run["repeated_backwards"].tolist() == (ran.run["micro_steps"] - 1).tolist()


@pytest.mark.parametrize(
    ("program", "optimizers"),
    # an optimizer that is gone leaves its id() to the next one, not its place
    [("schedulers", 15), ("trained_twice", 4)],
)
def test_every_optimizer_has_groups_of_its_own(compare: Compare, program: str, optimizers: int) -> None:
    run = compare(program).run
    assert len(run.groups) == len(set(run.groups)) == optimizers
    steps = run.steps // optimizers
    for step in range(run.steps):
        assert np.flatnonzero(np.isfinite(run["learning_rate"][step])).tolist() == [step // steps]


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_the_steps_before_a_divergence_are_kept_whole(compare: Compare) -> None:
    run = compare("nan_loss").run
    assert [event.step for event in run.events if event.kind == "divergence"] == [25]
    kept = run["snapshot"].tolist()
    assert kept == sorted(set(kept))
    assert set(range(5, 28)) <= set(kept)
    last = run["channel_mean"][kept.index(24)]
    assert np.isfinite(last).all()
    assert not np.isfinite(run["channel_mean"][kept.index(25)]).any()


@pytest.mark.parametrize(("kind", "steps"), [("likelihood", 40), ("critic", 40), ("explodes", 32)])
def test_only_a_training_that_diverged_is_stopped_for_it(compare: Compare, kind: str, steps: int) -> None:
    run = compare(f"signed_loss {kind}", stop_when_diverged=True).run
    assert run.steps == steps
    assert run["loss"][0] == pytest.approx(0.003, abs=0.0065)  # of either sign
    assert np.abs(run["loss"][:30]).max() > DIVERGENCE_RATIO * abs(run["loss"][0]), "by its first value alone it would have diverged"
    assert [event.step for event in run.events if event.kind == "divergence"] == [30] * (kind == "explodes")
    assert (run.attributes["status"], run.attributes["ending"]) == (
        ("stopped", "training diverged") if kind == "explodes" else ("finished", "")
    )


def test_an_exception_keeps_the_steps_before_it(compare: Compare) -> None:
    ran = compare("raises_at_step_3")
    assert ran.recorded.status == 1
    assert (ran.run.attributes["ending"], ran.run.attributes["exit_status"]) == ("RuntimeError: the data ended", 1)
    assert ran.run["snapshot"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_what_another_program_has_replaced_has_ended(compare: Compare) -> None:
    starts, fails = compare("replaced_by_another starts").run, compare("replaced_by_another fails").run
    assert (starts.attributes["status"], starts.attributes["ending"]) == ("exited", "os.execve")
    assert (fails.attributes["status"], fails.attributes["ending"]) == ("finished", "")


def test_a_guarded_divergence_keeps_the_steps_before_it(compare: Compare) -> None:
    run = compare("guarded_nan").run
    assert set(range(5, 26)) <= set(run["snapshot"].tolist())
    assert not np.isfinite(run["activation_rms"][25]).any()


def test_a_fault_gives_up_one_layer(compare: Compare) -> None:
    ran = compare("broken_recorder")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.status == 0
    (warning,) = ran.recorded.stderr.splitlines()
    assert re.match(r"bnprobe: layer 2: ValueError: provoked.*the training goes on", warning)
    assert [layer.name for layer in ran.run.layers] == ["0:input", "0", "1"]
    (gap,) = ran.run.gaps
    assert gap.subject == "layer 2"
    assert ran.run.steps == 4
    assert np.isfinite(ran.run["activation_gradient_rms"][:, 1:]).all()


def test_a_fault_is_raised_when_asked(compare: Compare) -> None:
    ran = compare("broken_recorder", strict=True)
    assert ran.recorded.status == 1
    assert ran.recorded.stderr.rstrip().endswith("ValueError: provoked")


@pytest.mark.parametrize("place", ["closing", "event"])
def test_a_fault_in_the_clock_does_not_stop_the_training(compare: Compare, place: str) -> None:
    ran = compare(f"broken_clock {place}")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.status == 0
    assert "provoked" in ran.recorded.stderr
    assert len(ran.recorded.stderr.splitlines()) == 1


# -- length -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_long_run_is_thinned_openly_and_stays_small(compare: Compare) -> None:
    ran = compare("long_run", budget=0.001, free_seconds=0.0)  # so little that thinning does not depend on the machine
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    assert run.steps == 3000
    assert np.isfinite(run["loss"]).all()
    assert run["layers_observed"][:10].all()
    assert 10 <= run["layers_observed"].sum() < 1500
    assert "layers are measured about every" in next(event.text for event in run.events if event.kind == "schedule")
    assert ran.file.stat().st_size < 3000 * 1500


@pytest.mark.slow
def test_training_in_a_child_process_is_named(compare: Compare) -> None:
    ran = compare("trained_elsewhere")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.status == ran.plain.status == 0
    assert ran.run.steps == 0
    assert [(gap.subject, gap.times) for gap in ran.run.gaps] == [("training inside child processes", 1)]


@pytest.mark.slow
def test_a_step_is_measured_whole_or_not_at_all(compare: Compare) -> None:
    ran = compare("rising_loss", budget=0.001, free_seconds=0.0)
    assert ran.recorded.stdout == ran.plain.stdout
    run = ran.run
    assert any("its noise" in event.text for event in run.events)  # of the loss, or the gradient where it was looked at just then
    assert run["layers_observed"][2902:2915].all()
    assert not run["layers_observed"][2960:].all()
    assert np.isfinite(run["activation_rms"]).all(axis=1).tolist() == run.observed().tolist()
    assert np.isfinite(run["parameter_gradient_norm"]).all(axis=1).tolist() == run.observed().tolist()


@pytest.mark.parametrize(
    ("program", "steps"),
    [
        ("max_steps", 3),
        ("optimizer_in_backward", 2),
    ],
)
def test_a_run_can_be_ended_after_some_steps(compare: Compare, program: str, steps: int) -> None:
    ran = compare(program, max_steps=steps)
    assert ran.recorded.status == 0
    assert "caught" not in ran.recorded.stdout
    if program == "max_steps":
        assert ran.recorded.stdout == "cleaned up\n"
    assert ran.run.status == "stopped"
    assert ran.run.steps == steps
    assert np.isfinite(ran.run["update_norm"]).all()
    assert np.isfinite(ran.run["activation_gradient_rms"][:, 1:]).all()


#: Programs whose steps are of every kind there is, whether or not their layers are measured.
OF_EVERY_KIND = (
    "accumulation autograd_grad_sgd evaluation failed_backward failed_step gan grad_scaler grad_scaler_fused grown_model lbfgs "
    "late_optimizer lightning_closure manual_updates one_cycle_momentum optimizer_in_backward rising_loss schedulers settings "
    "several_losses subclassed_step tensor_rate two_optimizers watched_operations"
).split()


def _kind(program: str) -> Any:
    """The commonest kinds of step in the short suite, all of them in the long one."""
    is_common = program in ("accumulation", "gan", "grad_scaler", "lbfgs", "manual_updates", "two_optimizers")
    return pytest.param(program, marks=[] if is_common else [pytest.mark.slow])


@pytest.mark.parametrize("program", [_kind(program) for program in OF_EVERY_KIND])
def test_a_step_that_is_not_measured_is_told_as_truly(compare: Compare, program: str) -> None:
    """Only step 0 is measured; of the others the same is known that a recording of everything knows."""
    thinned, whole = compare(program, every=10**6), compare(program)
    assert thinned.recorded.stdout == thinned.plain.stdout
    run, full = thinned.run, whole.run
    assert run.problems == []
    assert run["layers_observed"].tolist() == [1] + [0] * (run.steps - 1)
    for name in ("step", "loss", "micro_steps", "skipped", "clip_norm", "loss_scale", "learning_rate", "momentum", "weight_decay"):
        np.testing.assert_array_equal(run[name], full[name], err_msg=name)
    assert (np.diff(run["wall_time"]) > 0).all() and (run["step_seconds"] > run["observer_seconds"]).all()


def test_every_second_step_can_be_measured(compare: Compare) -> None:
    run = compare("plain_mlp", every=2).run
    assert run["layers_observed"].tolist() == [1, 0, 1, 0, 1]
    assert np.isfinite(run["activation_rms"]).all(axis=1).tolist() == [True, False, True, False, True]
    assert np.isfinite(run["loss"]).all()


# -- reading what a program said --------------------------------------------------------------------------------------


def _said(stdout: str, what: str) -> list[Any]:
    return [json.loads(line.partition(" ")[2].replace("nan", "NaN")) for line in stdout.splitlines() if line.startswith(f"{what} ")]


def _each(value: int | tuple[int, ...], steps: int) -> list[int]:
    return [value] * steps if isinstance(value, int) else list(value)


def _without_gradient(run: Run) -> set[str]:
    seen = np.isfinite(run["activation_gradient_rms"]) | (run["activation_gradient_nonfinite"] > 0)
    return {layer.name for index, layer in enumerate(run.layers) if layer.role == "output" and not seen[:, index].any()}


def _check_losses(run: Run, stdout: str) -> None:
    losses = [float(line.split()[1]) for line in stdout.splitlines() if line.startswith("loss ")]
    if losses:
        np.testing.assert_allclose(run["loss"], losses, rtol=1e-9)


def _check_norms(run: Run, stdout: str) -> None:
    names = [parameter.name for parameter in run.parameters]
    assert len(names) == len(set(names))
    for step, norms in enumerate(_said(stdout, "norms")):
        recorded = dict(zip(names, run["parameter_gradient_norm"][step].tolist(), strict=True))
        recorded = {name: norm for name, norm in recorded.items() if np.isfinite(norm)}
        assert recorded == pytest.approx(norms, rel=1e-5, abs=1e-7), f"step {step}"


def _check_rates(run: Run, stdout: str) -> None:
    for step, rates in enumerate(_said(stdout, "rates")):
        recorded = run["learning_rate"][step]
        np.testing.assert_allclose(recorded[np.isfinite(recorded)], rates, rtol=1e-6, err_msg=f"step {step}")


#: Level, date, time, process and thread at the head of a line that torch or its profiler logs.
_TORCH_LOG = re.compile(r"^(?:[WEI]\d{4} [\d:.]+ \d+|USDT:[\d-]+ [\d:]+ \d+:\d+) ", re.MULTILINE)


def own_words(stderr: str) -> list[str]:
    """What a program wrote, its tracebacks cut down to the program's own frames."""
    return list(_without_library_frames(_TORCH_LOG.sub("", stderr).splitlines()))


def _without_library_frames(lines: list[str]) -> Iterator[str]:
    in_library = False
    for line in lines:
        frame = re.match(r'  File "(.*)", line', line)
        if frame:
            in_library = str(PROGRAMS) not in frame.group(1)
        elif not line.startswith(" "):
            in_library = False
        if not in_library:
            yield line
