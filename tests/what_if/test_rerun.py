"""A stretch trained again from its tape is what really training it gives, to the last bit: whatever the script does, at any rate."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.remedies.application import apply
from bnprobe.what_if.companion import WhatIf
from bnprobe.what_if.course import losses_differ
from bnprobe.what_if.module_edits import Refused
from bnprobe.what_if.program import Program
from bnprobe.what_if.remedy_edits import Built, RemedyEdits
from bnprobe.what_if.rerun import Rerun
from bnprobe.what_if.training import RerunError
from tests.suites import shortened

STEPS = 24

Make = Callable[[], nn.Module]
Optimizers = Callable[[nn.Module], torch.optim.Optimizer]


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 4))


def normalised() -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.LayerNorm(256), nn.Dropout(0.2), nn.Linear(256, 4))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.cell(x[:, 0])[0][:, -1])


class Branched(nn.Module):
    """Two heads, and an activation as a function between them and what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.first, self.second = nn.Linear(64, 16), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> Any:
        hidden = F.relu(self.trunk(x.flatten(1)))
        return self.first(hidden) + self.second(hidden).tanh()


class Picked(nn.Module):
    """An expert that gets the samples to which a router gives more than zero, into a buffer, and nothing where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.expert, self.all = nn.Linear(64, 1), nn.Linear(64, 4), nn.Linear(64, 4)
        nn.init.constant_(self.router.bias, 1000.0)

    def forward(self, x: torch.Tensor) -> Any:
        x = x.flatten(1)
        self.score = self.router(x)[:, 0]
        out = x.new_zeros(len(x), 4)
        rows = torch.where(self.score > 0)[0]
        if rows.numel():
            out.index_add_(0, rows, self.expert(x[rows]))
        return 0.01 * (out + self.all(x))


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


@dataclass
class Training:
    """Everything of a step that a script may do in its own way."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    losses: list[float]

    def batches(self, steps: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(1)
        templates = torch.randn(4, 1, 8, 8, generator=generator)
        for step in range(steps):
            labels = torch.randint(4, (16,), generator=generator)
            yield step, templates[labels] + 0.5 * torch.randn(16, 1, 8, 8, generator=generator), labels

    def descend(self, loss: torch.Tensor) -> None:
        self.losses.append(loss.item())
        loss.backward()  # type: ignore[no-untyped-call]


def plain(training: Training) -> None:
    for _, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        training.optimizer.step()


def picked(training: Training) -> None:
    """The loss pulls down what the router says."""
    for _, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y) + training.model.score.mean())  # type: ignore[operator, union-attr]
        training.optimizer.step()


def returned(training: Training) -> None:
    """Weights climb a little, are differentiated there, and get back the memory in which they were kept: sharpness-aware training."""
    for _, x, y in training.batches(STEPS):
        training.descend(F.cross_entropy(training.model(x), y))
        kept = [parameter.data.clone() for parameter in training.model.parameters()]
        with torch.no_grad():
            for parameter in training.model.parameters():
                assert parameter.grad is not None
                parameter.add_(0.05 * parameter.grad)
        training.optimizer.zero_grad()
        loss = F.cross_entropy(training.model(x), y)
        training.losses[-1] += loss.item()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter, own in zip(training.model.parameters(), kept, strict=True):
            parameter.data = own
        training.optimizer.step()
        training.optimizer.zero_grad()


def clipped(training: Training) -> None:
    for _, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        nn.utils.clip_grad_norm_(training.model.parameters(), 0.3)
        training.optimizer.step()


def accumulated(training: Training) -> None:
    for step, x, y in training.batches(2 * STEPS):
        loss = F.cross_entropy(training.model(x), y) / 2
        if step % 2:
            training.losses[-1] += loss.item()
            loss.backward()  # type: ignore[no-untyped-call]
            training.optimizer.step()
            training.optimizer.zero_grad(set_to_none=step % 4 == 1)
        else:
            training.descend(loss)


def edited_by_hand(training: Training) -> None:
    """Gradients of their own making, weights held in a box, gradients kept from step to step."""
    for _, x, y in training.batches(STEPS):
        training.descend(F.cross_entropy(training.model(x), y))
        for parameter in training.model.parameters():
            assert parameter.grad is not None
            parameter.grad.add_(parameter.detach(), alpha=0.01)
            parameter.grad = parameter.grad.sign() * 0.05 + parameter.grad
        training.optimizer.step()
        with torch.no_grad():
            for parameter in training.model.parameters():
                parameter.clamp_(-0.5, 0.5)
                assert parameter.grad is not None
                parameter.grad.mul_(0.5)


def scheduled(training: Training) -> None:
    schedule = torch.optim.lr_scheduler.OneCycleLR(training.optimizer, 0.05, total_steps=STEPS)
    for _, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        training.optimizer.step()
        schedule.step()


def scaled(training: Training) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=3)
    for step, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(training.model(x).float(), y)
        training.losses.append(loss.item())
        if step == 4:
            loss = loss * 1e38
            training.losses[-1] = loss.item()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(training.optimizer)
        nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
        scaler.step(training.optimizer)
        scaler.update()


def adversarial(training: Training) -> None:
    """The gradient of the batch becomes a part of the next batch; a penalty on it is differentiated."""
    for _, x, y in training.batches(STEPS):
        x.requires_grad_()
        loss = F.cross_entropy(training.model(x), y)
        [gradient] = torch.autograd.grad(loss, x, create_graph=True)
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x.detach() + 0.1 * gradient.detach().sign()), y) + gradient.square().sum())
        training.optimizer.step()


def averaged(training: Training, begins: int = 0, is_target: bool = True, kind: str = "by hand") -> None:
    """A slow copy of the weights, made when the training begins or later; where it is a target, it is read before the model is."""
    slow: Any = None
    for step, x, y in training.batches(STEPS):
        if step == begins:
            slow = torch.optim.swa_utils.AveragedModel(training.model) if kind == "swa" else copy.deepcopy(training.model)
        with torch.no_grad():
            target = slow(x) if slow is not None else torch.zeros(16, 4)
        training.optimizer.zero_grad()
        out = training.model(x)
        training.descend(F.cross_entropy(out, y) + ((out - target).square().mean() if is_target else 0.0))
        training.optimizer.step()
        if slow is not None and kind == "swa":
            slow.update_parameters(training.model)
        elif slow is not None:
            with torch.no_grad():
                for mean, parameter in zip(slow.parameters(), training.model.parameters(), strict=True):
                    mean.lerp_(parameter, 0.1)


def evaluated(training: Training) -> None:
    for step, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        training.optimizer.step()
        if step % 5 == 4:
            training.model.eval()
            with torch.no_grad():
                training.model(x).argmax(1)
            training.model.train()


def closure(training: Training) -> None:
    for _, x, y in training.batches(STEPS):

        def ask(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
            training.optimizer.zero_grad()
            loss = F.cross_entropy(training.model(x), y)
            training.descend(loss)
            return loss

        training.optimizer.step(ask)  # type: ignore[arg-type]


Run = Callable[[Training], None]


def train(make: Make, optimizer: Optimizers, run: Run, factor: float = 1.0, remedy: str = "") -> list[float]:
    """Really train, and return the losses."""
    torch.manual_seed(0)
    model = make()
    with ExitStack() as stack:
        if remedy:
            stack.enter_context(apply(remedy.split("+"), model))
        built = optimizer(model)
        training = Training(model, built, [])

        def scale(optimizer: torch.optim.Optimizer, *anything: Any) -> None:
            for group in optimizer.param_groups:
                group["_own"], group["lr"] = group["lr"], group["lr"] * factor

        def restore(optimizer: torch.optim.Optimizer, *anything: Any) -> None:
            for group in optimizer.param_groups:
                group["lr"] = group.pop("_own")

        handles = [built.register_step_pre_hook(scale), built.register_step_post_hook(restore)]
        run(training)
        for handle in handles:
            handle.remove()
    return training.losses


@dataclass
class Taped:
    """What a recorded training has left."""

    program: Program | None
    refusal: str
    edits: RemedyEdits | None
    losses: list[float]
    built: list[Built] | None = None


def tape(make: Make, optimizer: Optimizers, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, memory: int = 2**30) -> Taped:
    """Record a training, and return its stretch."""
    found: list[Taped] = []

    def take(what_if: WhatIf, ending: Any) -> None:
        program = what_if.stretch.take()
        edits = RemedyEdits(what_if.stretch.built, program) if program is not None else None
        found.append(Taped(program, what_if.stretch.refusal, edits, [], what_if.stretch.built))

    monkeypatch.setattr(WhatIf, "answer", take)
    torch.manual_seed(0)
    recorder = Recorder(file, RecordOptions(what_if=STEPS, what_if_memory=memory, strict=True), {})
    recorder.install()
    try:
        model = make()
        training = Training(model, optimizer(model), [])
        run(training)
    finally:
        recorder.finish(SimpleNamespace(status="finished", detail="", exit_status=0))
    found[0].losses = training.losses
    return found[0]


KINDS: list[tuple[str, Make, Optimizers, Run]] = [
    ("plain", cnn, momentum, plain),
    ("normalised", normalised, adam, plain),
    ("recurrent", Recurrent, adam, clipped),
    ("clipped", cnn, momentum, clipped),
    ("accumulated", cnn, momentum, accumulated),
    ("edited by hand", cnn, momentum, edited_by_hand),
    ("scheduled", cnn, momentum, scheduled),
    ("scaled", cnn, momentum, scaled),
    ("adversarial", cnn, momentum, adversarial),
    ("averaged target", cnn, momentum, averaged),
    ("late averaged target", cnn, momentum, functools.partial(averaged, begins=5)),
    ("late average", cnn, momentum, functools.partial(averaged, begins=5, is_target=False)),
    ("averaged target of torch", cnn, momentum, functools.partial(averaged, kind="swa")),
    ("late averaged target of torch", cnn, momentum, functools.partial(averaged, begins=5, kind="swa")),
    ("evaluated", normalised, momentum, evaluated),
    ("closure", cnn, momentum, closure),
    ("picked", Picked, momentum, picked),
    ("returned", cnn, momentum, returned),
]


#: One of each kind is in the short suite.
SLOW = {
    *("accumulated", "adversarial", "clipped", "closure", "evaluated", "recurrent", "scaled"),
    *("averaged target", "late average", "averaged target of torch", "late averaged target of torch", "late averaged target", "scheduled"),
    *("picked", "returned"),
    *("agc", "msr+agc", "clip-norm", "gradient-centralisation", "no-norm", "weight-norm", "weight-standardisation"),
}


@pytest.mark.parametrize(
    ("make", "optimizer", "run"),
    [pytest.param(*kind, id=name, marks=[pytest.mark.slow] if name in SLOW else []) for name, *kind in KINDS],
)
def test_it_is_the_real_training(make: Make, optimizer: Optimizers, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = train(make, optimizer, run)
    taped = tape(make, optimizer, run, tmp_path / "run.h5", monkeypatch)
    assert taped.losses == real
    assert taped.program is not None, taped.refusal
    rerun = Rerun(taped.program)
    course = rerun.run(keep_values=True)
    assert losses_differ(taped.program, course) is None
    assert course.losses == real
    for factor in (3.0,):
        assert rerun.run(factor).losses == train(make, optimizer, run, factor)


def loaded_meanwhile(training: Training) -> None:
    """The target is a network that was saved earlier in the training: at other rates it would be another."""
    file, slow = io.BytesIO(), training.model
    for step, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        out = training.model(x)
        with torch.no_grad():
            target = slow(x)
        training.descend(F.cross_entropy(out, y) + (out - target).square().mean())
        training.optimizer.step()
        if step == 4:
            torch.save(training.model, file)
            slow = torch.load(io.BytesIO(file.getvalue()), weights_only=False)


REMEDIES = [
    "msr",
    "clip-norm",
    "agc",
    "gradient-centralisation",
    "batch-norm",
    "weight-norm",
    "weight-standardisation",
    "no-norm",
    "msr+agc",
]


@pytest.mark.parametrize("remedy", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in REMEDIES])
def test_a_remedy_is_the_real_one(remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = normalised if remedy == "no-norm" else cnn
    taped = tape(make, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    rerun = Rerun(taped.program)
    for factor in (1.0, 3.0):
        losses = rerun.run(factor, taped.edits.of(remedy)).losses
        assert losses == train(make, momentum, plain, factor, remedy)[: len(losses)]
    assert rerun.run().losses == taped.losses, "a remedy has left something behind"


def test_a_remedy_knows_the_answers_of_a_models_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(Branched, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    losses = Rerun(taped.program).run(1.0, taped.edits.of("agc")).losses
    assert losses == train(Branched, momentum, plain, 1.0, "agc")


@pytest.mark.slow
def test_dropout_where_nothing_else_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    losses = Rerun(taped.program).run(1.0, taped.edits.of("dropout:after=convolutions")).losses
    assert losses == train(cnn, momentum, plain, 1.0, "dropout:after=convolutions")


def built_anew(training: Training) -> None:
    """Another optimizer takes over, of what the model's parameters are by then."""
    for step, x, y in training.batches(STEPS):
        if step == 12:
            training.optimizer = adam(training.model)
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        training.optimizer.step()


@pytest.mark.parametrize(
    ("remedy", "run", "words"),
    shortened(
        [
            ("weight-norm", clipped, "edits gradients"),
            ("no-norm", plain, "no normalisation"),
            ("weight-standardisation", clipped, "order in which the script reads"),
            ("weight-norm", built_anew, "two optimizers for the same weights"),
            ("batch-norm:affine", scaled, "edits gradients|read by _to_copy"),
        ],
        1,
    ),
)
def test_a_remedy_that_cannot_be_tried(remedy: str, run: Run, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, run, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    with pytest.raises(Refused, match=words):
        Rerun(taped.program).run(1.0, taped.edits.of(remedy))


def norm_read_by_hand(training: Training) -> None:
    for _, x, y in training.batches(STEPS):
        training.optimizer.zero_grad()
        training.descend(F.cross_entropy(training.model(x), y))
        norm = sum(float(p.grad.square().sum()) for p in training.model.parameters() if p.grad is not None) ** 0.5
        for parameter in training.model.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(0.3 / norm)
        training.optimizer.step()


def lbfgs(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(model.parameters(), lr=0.05, max_iter=2)


class Straight(torch.autograd.Function):
    """A gradient of its own: the tape sees the forward alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class Binary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(Straight.apply(self.first(x.flatten(1))))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("make", "optimizer", "run", "words"),
    [
        (cnn, momentum, norm_read_by_hand, "a number that python has computed"),
        (cnn, lbfgs, closure, "LBFGS asks for the loss"),
        pytest.param(cnn, momentum, loaded_meanwhile, "set from outside the tape", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_trained_again(
    make: Make, optimizer: Optimizers, run: Run, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taped = tape(make, optimizer, run, tmp_path / "run.h5", monkeypatch)
    assert taped.program is None
    assert words in taped.refusal


def test_a_gradient_of_its_own_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(Binary, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    parted = losses_differ(taped.program, Rerun(taped.program).run(keep_values=True))
    assert parted is not None and parted[0] == 1


@pytest.mark.slow
def test_a_choice_that_becomes_empty_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(Picked, momentum, picked, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    with pytest.raises(RerunError, match="whether any value was chosen"):
        Rerun(taped.program).run(100.0)


def test_memory_ends_the_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch, memory=1000)
    assert taped.program is None
    assert "--what-if-memory 0 MiB is below the" in taped.refusal
    assert "MiB for one rerun" in taped.refusal
