from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from bnprobe.measure import fused
from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.instruments import update_meter as observed
from bnprobe.observe.instruments.update_meter import UpdateMeter
from bnprobe.torch_private import is_same_part, shards


def weights(*sizes: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=generator)) for size in sizes]


def step(meter: UpdateMeter, kept: list[nn.Parameter]) -> list[float]:
    """Move every parameter by a step of norm 1, 2, 3, ...; return the measured norms."""
    measurement = meter.before(kept)
    with torch.no_grad():
        for index, parameter in enumerate(kept):
            direction = torch.ones_like(parameter)
            parameter += (index + 1) * direction / direction.norm()
    meter.after(measurement, kept)
    assert measurement.update is not None
    return measurement.update.tolist()


def odd() -> list[nn.Parameter]:
    """Parameters that compiled code can read: some empty, some large, one without a gradient."""
    generator = torch.Generator().manual_seed(1)
    shapes = [(3, 4), (0, 5), (), (300, 1000), (7,)]
    kept = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for parameter in kept[:-1]:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return kept


def moved_in(kept: list[nn.Parameter], gradients: dict[int, torch.Tensor] | None, move: Callable[[], None]) -> list[torch.Tensor]:
    meter = UpdateMeter()
    for _ in range(2):  # the second time there is memory
        measurement = meter.before(kept, gradients)
    with torch.no_grad():
        move()
    meter.after(measurement, kept)
    assert measurement.update is not None and measurement._shapes is None and not measurement._before
    return [measurement.gradient, measurement.weight, measurement.update]


def doubled(kept: list[nn.Parameter]) -> None:
    for parameter in kept:
        parameter *= 2.0


def reshaped(kept: list[nn.Parameter]) -> None:
    doubled(kept)
    kept[0].data = kept[0].data.view(4, 3)


def converted(kept: list[nn.Parameter]) -> None:
    doubled(kept)
    kept[3].data = kept[3].data.double()


@pytest.mark.parametrize("move", [doubled, reshaped, converted])
@pytest.mark.parametrize("are_returned", [False, True])
def test_one_call_before_and_one_after_measure_what_many_do(
    are_returned: bool, move: Callable[[list[nn.Parameter]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for without in (None, "call", "norms"):
        kept = odd()
        gradients = {id(parameter): torch.ones_like(parameter) for parameter in kept[1:]} if are_returned else None
        with monkeypatch.context() as patch:
            if without == "call":
                patch.setattr(fused, "asks_tensors", lambda: None)
            elif without == "norms":
                patch.setattr(fused, "_tensors", lambda: None)
            found.append(moved_in(kept, gradients, functools.partial(move, kept)))
    for other in found[1:]:
        for one, expected in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, expected, rtol=0, atol=0, equal_nan=True)
    assert found[0][0][1] == 0.0 and math.isnan(found[0][0][0 if are_returned else -1])


def test_copies_beyond_the_limit_take_turns_and_give_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    meter, small = UpdateMeter(), weights(20)
    assert step(meter, small) == pytest.approx([1.0], rel=1e-5)
    monkeypatch.setattr(observed, "COPY_LIMIT_BYTES", 100)
    step(meter, weights(10, 10, 10))
    assert held_bytes(meter) + meter._copies.nbytes <= 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_copies_of_an_update_that_another_has_begun_within_are_not_its_own(dtype: torch.dtype) -> None:
    """The one within may end in an exception, which the script takes: then the one around it is the last that was begun."""
    meter, kept = UpdateMeter(), weights(500)
    measurement = meter.before(kept)
    meter.before([nn.Parameter(torch.ones(300, dtype=dtype))])
    with torch.no_grad():
        kept[0] += 1.0
    meter.after(measurement, kept)
    expected = math.nan if dtype is torch.float32 else 500**0.5  # in half precision it has buffers of its own
    assert measurement.update is not None
    assert measurement.update.tolist() == pytest.approx([expected], nan_ok=True)


def held_bytes(meter: UpdateMeter) -> int:
    return sum(buffer.numel() * buffer.element_size() for buffer in meter._buffers.values())


def test_gradient_weight_and_update_norms() -> None:
    kept = weights(5, 7)
    kept[0].grad = torch.full((5,), 2.0)
    before = [float(parameter.detach().double().norm()) for parameter in kept]
    meter = UpdateMeter()
    measurement = meter.before(kept)
    assert measurement.gradient.tolist() == pytest.approx([20**0.5, float("nan")], nan_ok=True)
    assert measurement.weight.tolist() == pytest.approx(before, rel=1e-6)
    assert step(meter, kept) == pytest.approx([1.0, 2.0], rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("when", ["before", "between", "its gradient"])
def test_memory_that_was_given_back_has_no_norms(when: str, dtype: torch.dtype) -> None:
    kept = [nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(64, 8, 3, dtype=dtype))]
    freed = kept[1]
    if when == "its gradient":
        freed.grad = torch.ones_like(freed)
        freed.grad.untyped_storage().resize_(0)
    elif when == "before":
        freed.untyped_storage().resize_(0)
    meter = UpdateMeter()
    measurement = meter.before(kept)
    if when == "between":
        freed.untyped_storage().resize_(0)
    with torch.no_grad():
        kept[0] += 1.0
    meter.after(measurement, kept, {id(freed)}, rows=True)
    assert measurement.update is not None and measurement.rows is not None
    length = freed.numel() ** 0.5
    assert measurement.weight.tolist() == pytest.approx([2.0, math.nan if when == "before" else length], rel=1e-3, nan_ok=True)
    assert measurement.update.tolist() == pytest.approx([2.0, 0.0 if when == "its gradient" else math.nan], nan_ok=True)
    assert math.isnan(measurement.gradient[1])


def test_a_sparse_weight_has_norms_and_no_update() -> None:
    dense, sparse = weights(3)[0], nn.Parameter(torch.diag(torch.tensor([3.0, 4.0])).to_sparse())
    meter = UpdateMeter()
    measurement = meter.before([sparse, dense])
    with torch.no_grad():
        dense += torch.tensor([0.0, 2.0, 0.0])
    meter.after(measurement, [sparse, dense], rows=True)
    assert measurement.weight[0] == 5.0
    assert measurement.update is not None
    assert measurement.update.tolist() == pytest.approx([float("nan"), 2.0], nan_ok=True, rel=1e-6)


def test_parameters_take_turns_under_the_copy_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "COPY_LIMIT_BYTES", 100)
    kept = weights(10, 10, 10, 10, 10)  # 40 bytes each: two at a time
    meter = UpdateMeter()
    seen = []
    for _ in range(5):
        moved = torch.tensor(step(meter, kept))
        turns = torch.isfinite(moved).nonzero().flatten().tolist()
        assert len(turns) == 2
        assert moved[turns].tolist() == pytest.approx([index + 1 for index in turns], rel=1e-5)
        assert held_bytes(meter) <= 100
        seen += turns
    assert sorted(seen) == sorted(list(range(5)) * 2), "everyone has the same number of turns"


def test_a_parameter_beyond_the_limit_never_has_a_turn_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "COPY_LIMIT_BYTES", 100)
    kept = weights(10, 1000, 10, 10)
    meter = UpdateMeter()
    seen: set[int] = set()
    for _ in range(6):
        turns = torch.isfinite(torch.tensor(step(meter, kept))).nonzero().flatten().tolist()
        assert turns
        seen.update(turns)
    assert seen == {0, 2, 3}


def test_copies_follow_a_change_of_dtype_and_shape() -> None:
    kept = weights(6)
    meter = UpdateMeter()
    assert step(meter, kept) == pytest.approx([1.0], rel=1e-5)
    kept[0].data = kept[0].data.double()
    assert step(meter, kept) == pytest.approx([1.0], rel=1e-6)
    kept[0].data = torch.zeros(9)
    assert step(meter, kept) == pytest.approx([1.0], rel=1e-6)


def test_a_parameter_reshaped_by_its_update_is_missing_alone() -> None:
    kept = weights(6, 6)
    meter = UpdateMeter()
    measurement = meter.before(kept)
    with torch.no_grad():
        kept[0].data = torch.zeros(9)
        kept[1] += 1.0
    meter.after(measurement, kept)
    assert measurement.update is not None
    assert measurement.update.tolist() == pytest.approx([float("nan"), 6**0.5], nan_ok=True, rel=1e-5)


def test_measuring_changes_nothing() -> None:
    kept = weights(5)
    kept[0].grad = torch.ones(5)
    versions = (kept[0]._version, kept[0].grad._version)
    bits = kept[0].detach().clone()
    meter = UpdateMeter()
    meter.after(meter.before(kept), kept)
    assert (kept[0]._version, kept[0].grad._version) == versions
    assert torch.equal(kept[0].detach(), bits)


def test_trained_parameters_are_listed_once() -> None:
    one, two = weights(1, 2)
    assert trained_parameters([{"params": [one, two]}, {"params": [two]}, {}]) == [one, two]


def test_kernels_are_measured_after_the_update() -> None:
    kernel, vector = nn.Parameter(torch.tensor([[[1.0, 3.0]]])), nn.Parameter(torch.ones(3))
    meter = UpdateMeter()
    measurement = meter.before([vector, kernel])
    with torch.no_grad():
        kernel.copy_(torch.tensor([[[1.0, -1.0]]]))
    meter.after(measurement, [vector, kernel], {id(kernel)})
    assert measurement.kernels is not None
    torch.testing.assert_close(measurement.kernels.float(), torch.tensor([[torch.nan, 0.0], [torch.nan, torch.inf]]), equal_nan=True)


def test_where_no_kernel_is_asked_for_none_is_measured() -> None:
    meter = UpdateMeter()
    kernel = nn.Parameter(torch.ones(1, 1, 3))
    measurement = meter.before([kernel])
    meter.after(measurement, [kernel])
    assert measurement.kernels is None


def test_in_half_precision_it_counts_what_an_update_left_as_it_was() -> None:
    kept = [nn.Parameter(torch.ones(8, dtype=torch.bfloat16)), nn.Parameter(torch.ones(8))]
    for parameter in kept:
        parameter.grad = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], dtype=parameter.dtype)
    meter = UpdateMeter()
    measurement = meter.before(kept)
    with torch.no_grad():
        for parameter in kept:
            parameter[:1] += 1.0
            parameter[1:] += 1e-4  # lost beside one in bfloat16
    meter.after(measurement, kept)
    assert measurement.lost is not None
    assert measurement.lost.tolist() == pytest.approx([0.75, float("nan")], nan_ok=True)


def test_gradients_on_another_part_are_known_and_plain_ones_are_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(shards, "shard_of", lambda one: asked.append(one) or str(getattr(one, "placements", "")))
    mesh = object()

    class Part(torch.Tensor):
        device_mesh: object
        placements: tuple[str, ...]

    def part(where: str, of: object = mesh) -> torch.Tensor:
        made = torch.ones(2).as_subclass(Part)
        made.device_mesh, made.placements = of, (where,)
        return made

    assert is_same_part(torch.ones(2), nn.Parameter(torch.ones(2)))
    assert is_same_part(part("S0"), part("S0"))
    assert not asked
    assert not is_same_part(part("S0"), part("R"))
    assert not is_same_part(part("S0"), torch.ones(2))
    assert is_same_part(part("S0"), part("S0", of=object()))
    assert len(asked) == 6
