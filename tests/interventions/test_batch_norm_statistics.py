"""By which statistics an evaluation normalises, beside statistics computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.at_work import AtWork
from tests.interventions.test_interventions import STEPS, batches

PROBE = 3.0 * torch.randn(40, 6, generator=torch.Generator().manual_seed(2)) + 1.0


class Shared(nn.Module):
    """One batch norm for two layers, or one for each."""

    def __init__(self, norms: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.norms = nn.ModuleList(nn.BatchNorm1d(8, affine=False) for _ in range(norms))
        with torch.no_grad():
            self.second.bias.add_(4.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.norms[0](self.first(x)))
        return self.head(torch.relu(self.norms[-1](self.second(hidden))))  # type: ignore[no-any-return]


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=1e-3), nn.Tanh(), nn.Linear(8, 3))


def evaluated(model: nn.Module, names: list[str], probe: torch.Tensor = PROBE) -> tuple[torch.Tensor, str]:
    """What a model says in evaluation mode after it was trained, and why nothing was changed."""
    with AtWork(names, STEPS) as at_work:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.no_grad():
            output = model(probe)
            if names == ["fresh-statistics"]:
                assert torch.equal(model(probe), output), "they are computed once"
                assert not model.training
    return output, at_work.record()[0]["refusal"] if names else ""


def test_each_call_of_a_batch_norm_has_its_own_statistics() -> None:
    apart, _ = evaluated(Shared(2), [])
    shared, _ = evaluated(Shared(1), [])
    tried, refusal = evaluated(Shared(1), ["norm-by-call"])
    assert torch.allclose(tried, apart) and not torch.allclose(shared, apart)
    assert not refusal


def test_a_batch_norm_that_is_called_once_is_left_alone() -> None:
    apart, _ = evaluated(Shared(2), [])
    tried, refusal = evaluated(Shared(2), ["norm-by-call"])
    assert torch.equal(tried, apart)
    assert refusal == "no batch norm is called more than once in a forward"


def by_the_batch(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.train()(PROBE)  # type: ignore[no-any-return]


def by_the_last_batches(model: nn.Module) -> torch.Tensor:
    torch.optim.swa_utils.update_bn([x for x, _ in batches()], model)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return model.eval()(PROBE)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "by_hand"), [("batch-statistics", by_the_batch), ("fresh-statistics", by_the_last_batches)])
def test_an_evaluation_normalises_by_other_statistics(name: str, by_hand: Callable[[nn.Module], torch.Tensor]) -> None:
    reference = plain()
    stale, _ = evaluated(reference, [])
    tried, refusal = evaluated(plain(), [name])
    wanted = by_hand(reference)
    assert torch.allclose(tried, wanted, atol=1e-6) and not torch.allclose(stale, wanted, atol=1e-2)
    assert not refusal


@pytest.mark.parametrize("name", ["batch-statistics", "fresh-statistics"])
def test_without_batch_norm_they_refuse(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 3))
    tried, refusal = evaluated(model, [name])
    assert refusal
    assert torch.equal(tried, model(PROBE))


def test_a_single_sample_has_no_statistics() -> None:
    tried, refusal = evaluated(plain(), ["batch-statistics"], PROBE[:1])
    assert refusal
    assert tried.isfinite().all()


class ByName(nn.Module):
    """Takes its input by name."""

    def __init__(self) -> None:
        super().__init__()
        self.body = plain()

    def forward(self, *, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)  # type: ignore[no-any-return]


def test_statistics_are_computed_anew_of_what_was_given_by_name() -> None:
    wanted, _ = evaluated(plain(), ["fresh-statistics"])
    model = ByName()
    with AtWork(["fresh-statistics"], STEPS) as at_work:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x=x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.no_grad():
            assert torch.allclose(model(x=PROBE), wanted)
    assert at_work.record()[0]["count"] == 1


def test_a_batch_norm_that_is_kept_in_evaluation_mode_keeps_its_statistics() -> None:
    frozen, free = nn.BatchNorm1d(8), nn.BatchNorm1d(8)
    model = nn.Sequential(nn.Linear(6, 8), frozen, nn.Tanh(), free, nn.Linear(8, 3))
    assert frozen.running_mean is not None and free.running_mean is not None
    with AtWork(["fresh-statistics"], STEPS) as at_work:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        frozen.running_mean.fill_(5.0)
        for x, y in batches():
            model.train()
            frozen.eval()
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        trained = free.running_mean.clone()
        with torch.no_grad():
            model(PROBE)
        assert frozen.running_mean.eq(5.0).all() and not free.running_mean.equal(trained)
        assert not any(one.training for one in model)
    assert at_work.record()[0]["count"] == 1


def test_statistics_by_call_follow_a_model_that_is_moved() -> None:
    model = Shared(1)
    evaluated(model, [])
    with AtWork(["norm-by-call"], STEPS):
        model.train()(PROBE)
        output = model.double().eval()(PROBE.double())
    assert output.dtype == torch.float64 and output.isfinite().all()


def test_statistics_by_call_cannot_be_loaded() -> None:
    with AtWork(["norm-by-call"], STEPS) as at_work:
        model = Shared(1)
        model.load_state_dict(Shared(1).state_dict())
        model(PROBE)
        assert not at_work.record()[0]["refusal"]
        model.load_state_dict(model.state_dict())
    assert at_work.record()[0]["refusal"].startswith("the script loads weights into a batch norm that is called more than once")


def test_a_batch_norm_that_is_trained_in_evaluation_mode_has_another_fault() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Linear(12, 3)).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with AtWork(["batch-statistics"], steps=STEPS) as at_work:
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    entry = at_work.record()[0]
    assert entry["refusal"] == "batch norm is in evaluation mode while it is trained"
    assert not entry["is_ruled_out"]
