"""What is the same in every rerun is kept by the first and taken by the others, and changes no loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.probes.operation_kinds import kind_of
from bnprobe.observe.probes.tape import Operation
from bnprobe.what_if.program import Program
from bnprobe.what_if.rerun import Rerun
from tests.what_if.test_rerun import Make, Run, Training, cnn, momentum, normalised, plain, tape

#: A mask of (16, 256) figures a step, 16 KiB: more than half of the steps, and not all.
SOME = 300_000


def drawing_by_hand(training: Training) -> None:
    """Noise of the shape of a signal, written to by the signal; a buffer of zeros that becomes a gradient."""
    for _, x, y in training.batches(24):
        training.optimizer.zero_grad()
        out = training.model(x)
        noise = torch.randn_like(out)
        noise.add_(out.detach())
        keeps = torch.empty_like(out).bernoulli_(0.5)
        training.descend(F.cross_entropy(out * keeps, y) + (out - noise).square().mean())
        for parameter in training.model.parameters():
            gradient = torch.zeros_like(parameter)
            gradient.add_(parameter.grad)  # type: ignore[arg-type]
            parameter.grad = gradient
        training.optimizer.step()


def as_many_as_are_large(training: Training) -> None:
    """How many signals are drawn for depends on weights."""
    for _, x, y in training.batches(24):
        training.optimizer.zero_grad()
        out = training.model(x)
        large = out[out.detach() > 0]
        training.descend(F.cross_entropy(out, y) + 0.01 * (large * torch.ones_like(large)).sum())
        training.optimizer.step()


@pytest.mark.parametrize(
    ("make", "run", "room", "passes"),
    [
        pytest.param(normalised, plain, 2**30, "bernoulli_", id="all", marks=pytest.mark.slow),
        pytest.param(normalised, plain, SOME, "bernoulli_", id="some"),
        pytest.param(cnn, drawing_by_hand, 2**30, "bernoulli_", id="by-hand", marks=pytest.mark.slow),
        pytest.param(normalised, plain, 0, "", id="none", marks=pytest.mark.slow),
        pytest.param(cnn, as_many_as_are_large, 2**30, "", id="shape-of-values", marks=pytest.mark.slow),
    ],
)
def test_losses_are_the_same(make: Make, run: Run, room: int, passes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(make, momentum, run, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None, taped.refusal
    without, rerun = Rerun(taped.program), Rerun(taped.program, room)
    assert rerun.run(keep_values=True).losses == taped.losses
    passed = _passed(taped.program, rerun)
    assert passes in passed if passes else not passed
    structural = "weight-standardisation" if make is normalised else "agc"
    for factor, remedy in ((1.0, "none"), (3.0, "msr"), (0.3, structural)):
        again = rerun.run(factor, taped.edits.of(remedy)).losses
        assert again == without.run(factor, taped.edits.of(remedy)).losses
    if room == SOME:
        kinds = [kind_of(item.function).name for item in taped.program.items if isinstance(item, Operation)]
        assert 0 < len([one for one in passed if one == "bernoulli_"]) < kinds.count("bernoulli_")


def test_a_rerun_that_ends_early_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(normalised, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    rerun = Rerun(taped.program, 2**30)
    assert rerun.run(1e12).diverged is not None
    assert not _passed(taped.program, rerun)
    assert rerun.run().losses == taped.losses
    assert _passed(taped.program, rerun)
    assert rerun.run().losses == taped.losses


class Langevin(torch.optim.Optimizer):
    """Noise on every update, drawn from where the forward has left the generator."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.05})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(parameter.grad + 0.1 * torch.randn_like(parameter), alpha=-group["lr"])


def test_an_optimizer_that_draws_finds_the_generator_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(normalised, lambda model: Langevin(model.parameters()), plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None, taped.refusal
    rerun = Rerun(taped.program, 2**30)
    assert rerun.run(keep_values=True).losses == taped.losses
    assert rerun.run().losses == taped.losses


def _passed(program: Program, rerun: Rerun) -> list[str]:
    """Return the names of the operations that are not executed again, but for scalars."""
    items: list[Any] = [program.items[place] for place in rerun.unchanging.passed]
    return [name for item in items if (name := kind_of(item.function).name) != "ones_like"]
