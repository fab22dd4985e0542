"""Each intervention beside the training that it is to make: the same script without the fault, written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bnprobe.interventions.at_work import AtWork

STEPS = 12
Training = Callable[[bool], list[float]]


def batches(classes: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS, 16, 6, generator=generator)
    return [(one, one[:, :classes].argmax(1)) for one in x]


def network(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), *(layers or (nn.ReLU(),)), nn.Linear(12, 3))


def trained(
    model: nn.Module,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy,
    *,
    clear: str = "before",
    data: list[tuple[torch.Tensor, torch.Tensor]] | None = None,
    **settings: Any,
) -> list[float]:
    """Losses of a plain training loop."""
    optimizer = torch.optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.5, **settings})
    losses = []
    for x, y in data or batches():
        if clear == "before":
            optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        if clear == "after":
            optimizer.zero_grad()
        optimizer.step()
        losses.append(loss.item())
    return losses


def not_cleared(fixed: bool) -> list[float]:
    return trained(network(), clear="before" if fixed else "never")


def cleared_too_late(fixed: bool) -> list[float]:
    return trained(network(), clear="before" if fixed else "after")


def cleared_by_hand(fixed: bool) -> list[float]:
    return _cleared_by_hand(fixed, lambda parameter: setattr(parameter, "grad", None))


def zeroed_by_hand(fixed: bool) -> list[float]:
    return _cleared_by_hand(fixed, lambda parameter: parameter.grad.zero_())


def _cleared_by_hand(fixed: bool, clear: Callable[[Any], Any]) -> list[float]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in () if fixed else model.parameters():
            clear(parameter)
        optimizer.step()
        losses.append(loss.item())
    return losses


def in_evaluation_mode(fixed: bool) -> list[float]:
    model = network(nn.BatchNorm1d(12), nn.ReLU()).train(fixed)
    return trained(model)


def softmax_twice(fixed: bool) -> list[float]:
    return trained(network(), lambda output, y: F.cross_entropy(output if fixed else output.softmax(1), y))


def probabilities_for_logarithms(fixed: bool) -> list[float]:
    return trained(network(), lambda output, y: F.nll_loss(output.log_softmax(1) if fixed else torch.softmax(output, 1), y))


def rectified_and_reshaped(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        rectified = output if fixed else nn.ReLU()(output)
        return F.binary_cross_entropy_with_logits(rectified.view(-1, 3).squeeze(), F.one_hot(y, 3).float())

    return trained(network(), loss_of)


def rectified_in_place(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not fixed:
            output.relu_()
        return F.cross_entropy(output, y)

    return trained(network(nn.ReLU(inplace=True)), loss_of)


def spread_target(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        column = output[:, :1]
        return F.mse_loss(column, y.float()[:, None] if fixed else y.float())

    return trained(network(), loss_of)


def spread_difference(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ((output[:, 0] - (y.float() if fixed else y.float()[:, None])) ** 2).mean()

    return trained(network(), loss_of)


def softmax_of_one_output(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        column = output[:, :1]
        return F.binary_cross_entropy(column.sigmoid() if fixed else column.softmax(1), (y > 0).float()[:, None])

    return trained(network(), loss_of)


def logarithm_of_one_channel(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        picture = output[:, None, None, :]
        return -(F.logsigmoid(picture) if fixed else picture.log_softmax(1)).mean()

    return trained(network(), loss_of)


def softmax_over_batch(fixed: bool) -> list[float]:
    return trained(network(), lambda output, y: F.nll_loss(output.log_softmax(1 if fixed else 0), y))


def one_class(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        alarm = (y > 0).float()
        if fixed:
            return F.binary_cross_entropy_with_logits(output[:, 0], alarm)
        return F.cross_entropy(output[:, :1], alarm[:, None])

    return trained(network(), loss_of)


def half_the_units(fixed: bool) -> list[float]:
    torch.manual_seed(5)
    return trained(network(nn.ReLU(), nn.Dropout(0.0 if fixed else 0.9)))


def leaky(fixed: bool) -> list[float]:
    return trained(network(nn.LeakyReLU(0.1) if fixed else nn.ReLU()))


def leaky_in_place(fixed: bool) -> list[float]:
    class Rectified(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if fixed:
                return F.leaky_relu(x, 0.1)
            x.relu_()
            return x

    return trained(network(Rectified()))


def smooth(fixed: bool) -> list[float]:
    return trained(network(nn.Tanh() if fixed else nn.ReLU()))


def saturating(fixed: bool) -> list[float]:
    return trained(network(nn.LeakyReLU(0.1) if fixed else nn.Sigmoid()))


def decayed(fixed: bool) -> list[float]:
    return trained(network(), weight_decay=0.0 if fixed else 1.0)


def in_half_precision(fixed: bool) -> list[float]:
    dtype = torch.float32 if fixed else torch.bfloat16
    model = network().to(dtype)
    return trained(model, lambda output, y: F.cross_entropy(output.float(), y), data=[(x.to(dtype), y) for x, y in batches()])


def under_autocast(fixed: bool) -> list[float]:
    model = network()

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=not fixed):
            return F.cross_entropy(model(x), y)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


def clipped(fixed: bool) -> list[float]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        if not fixed:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1e-3)
        optimizer.step()
        losses.append(loss.item())
    return losses


def clipped_before_unscaling(fixed: bool) -> list[float]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if fixed:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


def scheduled(fixed: bool) -> list[float]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if not fixed:
            schedule.step()
        losses.append(loss.item())
    return losses


def targets_out_of_range(fixed: bool) -> list[float]:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        target = F.one_hot(y, 3).float()
        return F.binary_cross_entropy_with_logits(output, target if fixed else 8 * target - 2)

    return trained(network(), loss_of)


def squared_behind_relu(fixed: bool) -> list[float]:
    return trained(network(), lambda output, y: F.mse_loss(output if fixed else output.relu(), F.one_hot(y, 3).float() - 0.5))


def grouped(fixed: bool) -> list[float]:
    return trained(network(nn.GroupNorm(1, 12, affine=False) if fixed else nn.BatchNorm1d(12, affine=False), nn.ReLU()))


def normalised(fixed: bool) -> list[float]:
    return trained(network(*([nn.LayerNorm(12, elementwise_affine=False)] if fixed else []), nn.ReLU()))


#: By name of the intervention: trainings that have the fault, or that lack it.
TRAININGS: list[tuple[str, Training]] = [
    ("clear-gradients", not_cleared),
    ("keep-gradients", cleared_too_late),
    ("keep-gradients", cleared_by_hand),
    ("keep-gradients", zeroed_by_hand),
    ("training-mode", in_evaluation_mode),
    ("bypass-squashing", softmax_twice),
    ("bypass-squashing", probabilities_for_logarithms),
    ("bypass-squashing", rectified_and_reshaped),
    ("bypass-squashing", rectified_in_place),
    ("bypass-squashing", squared_behind_relu),
    ("align-shapes", spread_target),
    ("align-shapes", spread_difference),
    ("class-softmax", softmax_over_batch),
    ("two-classes", one_class),
    ("two-classes", softmax_of_one_output),
    ("two-classes", logarithm_of_one_channel),
    ("no-dropout", half_the_units),
    ("leaky-units", leaky),
    ("leaky-units", leaky_in_place),
    ("smooth-units", smooth),
    ("rectified-units", saturating),
    ("no-weight-decay", decayed),
    ("float32", in_half_precision),
    ("float32", under_autocast),
    ("no-clipping", clipped),
    ("clip-unscaled", clipped_before_unscaling),
    ("constant-rate", scheduled),
    ("targets-in-range", targets_out_of_range),
    ("group-norm", grouped),
    ("layer-norm", normalised),
]


@pytest.mark.parametrize(("name", "training"), TRAININGS, ids=lambda one: one if isinstance(one, str) else one.__name__)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_an_intervention_makes_the_training_without_the_fault(name: str, training: Training) -> None:
    faulty, fixed = training(False), training(True)
    assert faulty != fixed, "the fault must show"
    with AtWork([name], STEPS) as at_work:
        tried = training(False)
    assert tried == pytest.approx(fixed, rel=1e-5), "the training without the fault"
    [entry] = at_work.record()
    assert entry["count"] > 0 and not entry["refusal"]
    assert training(False) == faulty, "nothing is left behind"


@pytest.mark.parametrize(("name", "training"), TRAININGS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_it_refuses_where_there_is_no_fault(name: str, training: Training) -> None:
    if name in ("leaky-units", "smooth-units", "layer-norm"):
        training = linear
    plain = training(True)
    with AtWork([name], STEPS) as at_work:
        tried = training(True)
    assert tried == plain, "a training without the fault stays what it is"
    [entry] = at_work.record()
    assert entry["count"] == 0
    assert entry["refusal"] == at_work._interventions[0].nothing


def linear(fixed: bool) -> list[float]:
    """A network without a hidden layer."""
    torch.manual_seed(0)
    return trained(nn.Linear(6, 3))


def test_frozen_parameters_are_trained_from_the_first_update_on() -> None:
    model = network()
    frozen, head = model[0], model[2]  # type: ignore[index]
    frozen.requires_grad_(False)
    before = frozen.weight.clone()
    with AtWork(["unfreeze"], STEPS) as at_work:
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert at_work.record()[0]["count"] == 2
    assert not torch.equal(frozen.weight, before)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4


def test_it_does_not_unfreeze_what_no_gradient_reaches() -> None:
    model = network()
    body, head = model[0], model[2]  # type: ignore[index]
    with AtWork(["unfreeze"], STEPS) as at_work:
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(head(torch.relu(body(x).detach())), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert "cut off from the loss" in at_work.record()[0]["refusal"]
    assert at_work.is_in_vain()


def test_all_is_trained_already() -> None:
    with AtWork(["unfreeze"], STEPS) as at_work:
        trained(network())
    assert at_work.record()[0]["refusal"].startswith("every parameter")


def test_inputs_are_standardised_feature_by_feature() -> None:
    seen: list[torch.Tensor] = []
    model = network()
    data = [(1000 + 50 * x * torch.arange(1.0, 7.0), y) for x, y in batches()]
    with AtWork(["standardise-inputs"], STEPS) as at_work:
        model[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))  # type: ignore[index]
        trained(model, data=data)
        with torch.no_grad():
            model(data[0][0])
    first = data[0][0]
    expected = (first - first.mean(0)) / first.std(0, correction=0)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen[-1], expected, rtol=1e-4, atol=1e-4)  # in evaluation, too
    assert at_work.record()[0]["count"] == 1, "what comes from a layer stays as it is"


def test_inputs_of_ordinary_scale_stay_as_they_are() -> None:
    with AtWork(["standardise-inputs"], STEPS) as at_work:
        assert trained(network()) == trained(network())
    assert at_work.record()[0]["refusal"]


def test_a_constant_feature_is_centred_and_not_blown_up() -> None:
    seen: list[torch.Tensor] = []
    model = network()
    data = [(torch.cat([200 * x[:, :5], torch.full((16, 1), 7.0)], 1), y) for x, y in batches()]
    with AtWork(["standardise-inputs"], STEPS):
        model[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))  # type: ignore[index]
        trained(model, data=data)
    assert float(seen[0][:, 5].abs().max()) == 0.0
    assert all(bool(one.isfinite().all()) for one in seen)


def test_targets_are_standardised() -> None:
    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(output[:, :1], 3e5 + 1e4 * y[:, None].float())

    with AtWork(["standardise-targets"], STEPS) as at_work:
        losses = trained(network(), loss_of)
    assert losses[0] < 3 and losses[-1] < losses[0]
    assert at_work.record()[0]["count"] == STEPS
    with AtWork(["standardise-targets"], STEPS) as at_work:
        trained(network(), lambda output, y: F.mse_loss(output, F.one_hot(y, 3).float()))
    assert at_work.record()[0]["refusal"]


def test_equal_weights_become_different_ones_whose_outputs_have_variance_one() -> None:
    model = network()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    outputs: list[torch.Tensor] = []
    with AtWork(["reinitialise"], STEPS) as at_work:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for layer in model:  # type: ignore[attr-defined]
            layer.register_forward_hook(lambda module, args, output: outputs.append(output.detach()))
        for x, y in batches()[:2]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert at_work.record()[0]["count"] == 2
    first = model[0].weight.detach()  # type: ignore[index]
    assert float((first[0] - first[1]).abs().max()) > 0.01
    assert float(outputs[0].std()) == pytest.approx(1.0, rel=1e-4)
    assert 0.1 < float(outputs[2].std()) < 1.0, "the last begins small"


def test_new_weights_leave_the_draws_of_the_script_alone() -> None:
    torch.manual_seed(3)
    network()
    expected = torch.rand(4)
    with AtWork(["reinitialise", "shuffle"], STEPS):
        torch.manual_seed(3)
        model = network()
        torch.optim.SGD(model.parameters(), lr=0.1)
        DataLoader(TensorDataset(torch.arange(9.0)), batch_size=3)
        assert torch.equal(torch.rand(4), expected)


def test_a_loader_in_order_is_shuffled_and_one_that_shuffles_is_not_touched() -> None:
    data = TensorDataset(torch.arange(40))

    def drawn(**settings: Any) -> list[int]:
        torch.manual_seed(0)
        return [int(one) for (rows,) in DataLoader(data, batch_size=8, **settings) for one in rows]

    with AtWork(["shuffle"], STEPS) as at_work:
        tried = drawn()
    assert tried != list(range(40)) and sorted(tried) == list(range(40))
    assert at_work.record()[0]["touched"] == ["DataLoader of 40 samples"]
    with AtWork(["shuffle"], STEPS) as at_work:
        assert drawn(shuffle=True) == drawn(shuffle=True)
    assert at_work.record()[0]["refusal"] == "no DataLoader goes through its data in order"
    assert drawn() == list(range(40))


def test_rates_rise_and_are_put_back() -> None:
    rates: list[float] = []
    model = network()
    with AtWork(["warm-up"], STEPS):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.register_step_post_hook(lambda optimizer, args, kwargs: rates.append(optimizer.param_groups[0]["lr"]))
        moved = []
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            before = [one.detach().clone() for one in model.parameters()]
            optimizer.step()
            gradient = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
            step = torch.cat([(old - new.detach()).flatten() for old, new in zip(before, model.parameters(), strict=True)])
            moved.append(float(step.norm() / gradient.norm()))
    assert moved == pytest.approx([0.1 * min(1.0, (k + 1) / 10) for k in range(STEPS)], rel=1e-3)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_gradients_of_several_backwards_of_one_step_still_add_up() -> None:
    def accumulated() -> list[float]:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for i, (x, y) in enumerate(batches()):
            loss = F.cross_entropy(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
        return losses

    plain = accumulated()
    with AtWork(["clear-gradients"], STEPS) as at_work:
        assert accumulated() == plain
    assert at_work.record()[0]["refusal"] == "every gradient was cleared before the next backward"


GUARDED: list[tuple[str, Callable[[torch.Tensor], torch.Tensor], list[float], list[float]]] = [
    ("logarithm", lambda x: x.log(), [0.0, 0.5], [1e-8, 0.5]),
    ("root", torch.sqrt, [0.0, 4.0], [1e-8, 4.0]),
    ("inverse cosine", torch.acos, [1.0, 0.5], [1 - 1e-6, 0.5]),
    ("quotient", lambda x: 3.0 / x, [0.0, -2.0], [1e-5, -2.0]),
    ("quotient by a tensor", lambda x: torch.ones(2) / x, [-1e-9, 2.0], [-1e-5, 2.0]),
    ("power", lambda x: x ** (1 / 2.2), [0.0, 2.0], [1e-4, 2.0]),
    ("exponential", torch.exp, [900.0, 1.0], [80.0, 1.0]),
]


@pytest.mark.parametrize(("function", "values", "moved"), [one[1:] for one in GUARDED], ids=[one[0] for one in GUARDED])
def test_a_guarded_function_has_a_finite_value_and_slope(
    function: Callable[[torch.Tensor], torch.Tensor], values: list[float], moved: list[float]
) -> None:
    with AtWork(["guard-arithmetic"], STEPS) as at_work:
        x = torch.tensor(values, requires_grad=True)
        result = function(x)
        result.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(result.detach(), function(torch.tensor(moved)))
    assert result.isfinite().all() and x.grad is not None and x.grad.isfinite().all()
    assert at_work.record()[0]["count"] == 1


@pytest.mark.parametrize("function", [one[1] for one in GUARDED], ids=[one[0] for one in GUARDED])
def test_away_from_there_it_is_the_same_function(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.tensor([0.3, 0.7])
    with AtWork(["guard-arithmetic"], STEPS) as at_work:
        guarded = function(x)
    assert torch.equal(guarded, function(x))
    assert at_work.record()[0]["refusal"].startswith("no logarithm")


@pytest.mark.parametrize(
    "mean",
    [lambda x: x[:0].mean(), lambda x: F.cross_entropy(x, torch.full((3,), -100)), lambda x: F.nll_loss(x, torch.full((3,), -100))],
    ids=["mean", "cross-entropy", "likelihood"],
)
def test_a_mean_of_nothing_is_zero_and_moves_nothing(mean: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.randn(3, 5, requires_grad=True)
    assert mean(x).isnan()
    with AtWork(["guard-arithmetic"], STEPS) as at_work:
        loss = mean(x)
        loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0 and x.grad is not None and not x.grad.any()
    assert at_work.record()[0]["count"] == 1


@pytest.mark.filterwarnings("ignore:var")  # as torch warns of the deviation itself
def test_a_deviation_of_single_values_is_small_and_moves_nothing() -> None:
    with AtWork(["guard-arithmetic"], STEPS) as at_work:
        x = torch.randn(1, 5, requires_grad=True)
        deviation = torch.std(x, dim=0)
        deviation.sum().backward()  # type: ignore[no-untyped-call]
    assert deviation.tolist() == pytest.approx([1e-4] * 5) and x.grad is not None and not x.grad.any()
    assert at_work.record()[0]["touched"] == ["std"]


def test_a_deviation_of_equal_values_and_a_softmax_over_nothing_are_finite() -> None:
    with AtWork(["guard-arithmetic"], STEPS):
        x = torch.ones(3, 5, requires_grad=True)
        y = x.std(1) + x.masked_fill(torch.ones(3, 5, dtype=torch.bool), float("-inf")).softmax(1)[:, 0]
        y.sum().backward()  # type: ignore[no-untyped-call]
    assert y.isfinite().all() and x.grad is not None and x.grad.isfinite().all()


def test_attention_drops_nothing() -> None:
    q = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    with AtWork(["no-dropout"], STEPS) as at_work:
        attended = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    torch.testing.assert_close(attended, F.scaled_dot_product_attention(q, q, q))
    assert at_work.record()[0]["count"] == 1
