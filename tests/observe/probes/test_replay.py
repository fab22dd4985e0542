"""A loss computed again from its tape, against the ordinary computation at the same weights; and where it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.observe.probes.replay import Replay, ReplayError
from bnprobe.observe.probes.tape import Recording, Tape


def taped(compute: Callable[[], torch.Tensor]) -> tuple[Replay, torch.Tensor]:
    tape = Tape()
    with Recording(tape):
        loss = compute()
    slot = tape.find(loss)
    assert slot is not None, tape.broken
    return Replay(tape, [slot]), loss


def slices(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Writes into what was a constant, through a view of it, and reads the whole."""
    out = torch.zeros(4, 3)
    out[:, 1] = x @ w
    out += 1.0
    return (out * out.T[:3, :3].sum()).pow(2).sum()


def reused_buffer(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A constant is used, overwritten and used again."""
    scratch = x.clone()
    first = (scratch[0] + w).pow(2).sum()
    scratch.mul_(2.0)
    return first * (scratch @ w).pow(2).sum()


def aliased(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``.data`` is another tensor on the same memory, made by no operation that is seen."""
    y = x @ w
    return (y * y.data).sum() + w.data.sum() * y.sum()


def random_numbers(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    noise = torch.randn_like(w, dtype=w.dtype)
    own = torch.Generator().manual_seed(3)
    return (F.dropout(x * (w + noise), 0.5) @ torch.rand(3, generator=own)).pow(2).sum()


def by_gradient(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A penalty on a gradient."""
    v = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((v @ w).tanh().sum(), v, create_graph=True)
    return gradient.pow(2).sum()


@pytest.mark.parametrize("compute", [slices, reused_buffer, aliased, random_numbers, by_gradient])
def test_a_replay_is_the_computation_at_other_weights(compute: Callable[..., torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    w, x = nn.Parameter(torch.randn(3, generator=generator)), torch.randn(4, 3, generator=generator)
    elsewhere = torch.randn(3, generator=generator)
    torch.manual_seed(5)
    replay, loss = taped(lambda: compute(w, x))
    state = torch.get_rng_state()
    assert torch.equal(replay.losses({})[0], loss.detach())
    found = replay.losses({id(w): elsewhere.clone()})[0]
    assert torch.equal(replay.losses({})[0], loss.detach())  # and it leaves nothing behind
    assert torch.equal(torch.get_rng_state(), state)
    loss.backward()
    torch.manual_seed(5)
    assert torch.equal(found, compute(nn.Parameter(elsewhere), x).detach())


class Outside(torch.autograd.Function):
    """Computes in numpy, out of torch's sight."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() ** 2)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def test_what_was_computed_out_of_sight_is_a_hole() -> None:
    w = nn.Parameter(torch.ones(3))
    with pytest.raises(ReplayError, match="where no operation is seen"):
        taped(lambda: Outside.apply(w * 2).sum())


def test_a_batch_that_was_overwritten_is_refused() -> None:
    w, x = nn.Parameter(torch.ones(3)), torch.ones(3)
    replay, _ = taped(lambda: (w * x).sum())
    x.zero_()
    with pytest.raises(ReplayError, match="overwritten since"):
        replay.losses({})


def test_shapes_that_follow_the_values_are_refused() -> None:
    w = nn.Parameter(torch.tensor([1.0, 2.0, -3.0]))
    replay, _ = taped(lambda: (w[w > 0].reshape(2, 1) * torch.ones(2)).sum())
    with pytest.raises(ReplayError, match="does not accept"):
        replay.losses({id(w): torch.tensor([1.0, -2.0, -3.0])})


def test_only_what_the_loss_depends_on_is_executed() -> None:
    w, v = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    replay, _ = taped(lambda: (w * 2 + 0 * (v.tanh().sum().item())).sum())
    assert [id(parameter) for parameter in replay.parameters] == [id(w)]


def test_running_statistics_are_copies() -> None:
    norm, x = nn.BatchNorm1d(3), torch.randn(8, 3)
    replay, loss = taped(lambda: (norm(x) ** 3).sum() + norm.running_mean.sum() + norm.eval()(x).sum())
    known = norm.running_mean.clone(), norm.running_var.clone()
    assert torch.equal(replay.losses({})[0], loss.detach())
    assert torch.equal(replay.losses({})[0], loss.detach())
    assert torch.equal(norm.running_mean, known[0]) and torch.equal(norm.running_var, known[1])


def test_weights_that_are_initialised_while_the_tape_runs_stay_as_they_are() -> None:
    """A module that is called while the model is still being built begins a tape; nothing of it is to be executed on the weights."""
    first, late = nn.Parameter(torch.ones(3)), []

    def build_and_compute() -> torch.Tensor:
        (first * 2).sum()
        late.append(nn.init.trunc_normal_(nn.Parameter(torch.empty(3))))
        return (first * late[0]).sum()

    replay, loss = taped(build_and_compute)
    known, elsewhere = late[0].detach().clone(), torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(replay.losses({})[0], loss.detach())
    assert torch.equal(replay.losses({id(late[0]): elsewhere})[0], elsewhere.sum())
    assert torch.equal(late[0], known)


def test_a_weight_that_was_overwritten_after_its_use_is_refused() -> None:
    w = nn.Parameter(torch.ones(3))

    def project() -> torch.Tensor:
        before = (w * 2).sum()
        with torch.no_grad():
            w.clamp_(max=0.5)
        return before + w.sum()

    with pytest.raises(ReplayError, match="a weight has been overwritten"):
        taped(project)


def test_weights_that_their_forward_scales_are_copies() -> None:
    embedding = nn.Embedding(4, 3, max_norm=0.5)
    tokens = torch.tensor([0, 2])
    replay, loss = taped(lambda: embedding(tokens).pow(2).sum())
    with torch.no_grad():
        moved = embedding.weight.mul_(3.0).clone()
    assert replay.losses({})[0] == pytest.approx(loss.item())
    assert torch.equal(embedding.weight, moved)
