"""A training that is started again from a checkpoint goes on in its run file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.errors import ResumeError
from bnprobe.launch import ending
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.processes import Rank
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.figures.loss import loss
from bnprobe.report.terminal import summary
from bnprobe.store.reader import Run, read_run

Optimizers = Callable[[Any], torch.optim.Optimizer]


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)


class Training:
    """A training that can be saved, killed and started again."""

    def __init__(self, optimizer: Optimizers = sgd, width: int = 8, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))
        self.optimizer = optimizer(self.model.parameters())
        self.step = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            batch = torch.Generator().manual_seed(self.step)
            inputs = torch.randn(16, 4, generator=batch)
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs), inputs[:, :3].argmax(1)).backward()
            self.optimizer.step()
            self.step += 1

    def save(self) -> dict[str, Any]:
        return copy.deepcopy({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step})

    def load(self, saved: dict[str, Any]) -> Training:
        saved = copy.deepcopy(saved)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        return self


def recorded(path: Path, make: Callable[[], Training], steps: int, *, is_killed: bool = False, **options: Any) -> Training:
    """Build a training and run it, recorded; return it."""
    recorder = Recorder(path, RecordOptions(budget=1e9, **options), {"created": "2026-01-01T00:00:00+00:00"})
    recorder.install()
    training: Training | None = None
    try:
        training = make()
        training.run(steps)
    except ResumeError:
        recorder.finish(ending.finished())
        raise
    if is_killed:
        recorder.settle()
        recorder.flush()
        recorder.abandon()
    else:
        recorder.finish(ending.finished())
    return training


def started(optimizer: Optimizers, steps: int) -> dict[str, Any]:
    """A checkpoint after so many steps."""
    training = Training(optimizer)
    training.run(steps)
    return training.save()


def killed_and_resumed(path: Path, optimizer: Optimizers, **options: Any) -> tuple[Run, Training]:
    """Record 30 steps with a checkpoint at 20, die, and go on to 40."""
    recorded(path, lambda: Training(optimizer), 30, is_killed=True)
    saved = started(optimizer, 20)
    second = recorded(path, lambda: Training(optimizer, seed=1).load(saved), 20, resume=True, **options)
    return read_run(path), second


@pytest.mark.parametrize("optimizer", [sgd, adam])
def test_it_goes_on_where_its_weights_are(tmp_path: Path, optimizer: Optimizers) -> None:
    run, training = killed_and_resumed(tmp_path / "run.h5", optimizer)
    assert run["step"].tolist() == list(range(40))
    (one,) = run.resumptions
    assert (one.step, one.before, one.known_by, one.repeated, one.missing) == (20, 29, "weights", 10, 0)
    assert run.status == "finished" and not run.problems
    # it is the recording of a training that was never killed, and trained the same
    whole = recorded(tmp_path / "whole.h5", lambda: Training(optimizer), 40)
    for mine, its in zip(training.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, its)
    other = read_run(tmp_path / "whole.h5")
    for name in ("loss", "activation_rms", "weight_norm", "update_norm", "parameter_gradient_norm", "learning_rate"):
        np.testing.assert_array_equal(run[name], other[name])
    assert [layer.name for layer in run.layers] == [layer.name for layer in other.layers]
    assert run["parameter"].tolist() == other["parameter"].tolist() and run.groups == other.groups


def test_recording_the_second_start_changes_no_weight(tmp_path: Path) -> None:
    _, training = killed_and_resumed(tmp_path / "run.h5", adam)
    bare = Training(adam)
    bare.run(40)
    assert all(torch.equal(mine, its) for mine, its in zip(training.model.parameters(), bare.model.parameters(), strict=True))


def test_the_optimizer_says_the_step_of_a_checkpoint_that_was_not_measured(tmp_path: Path) -> None:
    saved = recorded(tmp_path / "run.h5", lambda: Training(adam), 30, every=7, is_killed=True).save()
    recorded(tmp_path / "run.h5", lambda: Training(adam).load(saved), 5, resume=True)
    assert [(one.step, one.known_by) for one in read_run(tmp_path / "run.h5").resumptions] == [(30, "optimizer")]


def test_steps_that_nobody_recorded_are_a_gap(tmp_path: Path) -> None:
    run, _ = killed_and_resumed(tmp_path / "run.h5", sgd, resume_at=100)
    assert run["step"].tolist() == [*range(30), *range(100, 120)]
    (one,) = run.resumptions
    assert (one.missing, one.known_by) == (70, "given")
    assert "step 100, resumption: goes on at step 100 (as given); steps 30 to 99 were not recorded" in " ".join(summary(run).split())


def test_where_nothing_tells_the_step_numbers_go_on(tmp_path: Path) -> None:
    recorded(tmp_path / "run.h5", Training, 10, is_killed=True)
    recorded(tmp_path / "run.h5", lambda: Training(seed=5), 10, resume=True)
    run = read_run(tmp_path / "run.h5")
    assert [(one.step, one.known_by) for one in run.resumptions] == [(10, "none of them")]
    assert run["step"].tolist() == list(range(20))


def test_it_goes_on_twice(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    first = recorded(path, Training, 10, is_killed=True)
    recorded(path, lambda: Training().load(first.save()), 20, resume=True, is_killed=True)
    saved = started(sgd, 15)
    recorded(path, lambda: Training().load(saved), 10, resume=True)
    run = read_run(path)
    assert [one.step for one in run.resumptions] == [10, 15]
    assert run["step"].tolist() == list(range(25))
    assert len(run["snapshot"]) == len(set(run["snapshot"].tolist()))


def test_another_model_is_refused_and_the_file_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    recorded(path, Training, 5)
    before = path.read_bytes()
    made: list[Training] = []
    with pytest.raises(ResumeError, match=r"another model: 0\.weight is 9x4 here and 8x4 there"):
        recorded(path, lambda: made.append(Training(width=9)) or made[0], 5, resume=True)
    assert path.read_bytes() == before
    untrained = Training(width=9).model.state_dict()
    assert all(torch.equal(value, untrained[name]) for name, value in made[0].model.state_dict().items())


@pytest.mark.parametrize(("here", "said"), [(3, "4.weight is not there"), (1, "2.weight is not here")])
def test_a_model_with_other_layers_is_refused(tmp_path: Path, here: int, said: str) -> None:
    class Deep(Training):
        def __init__(self, layers: int) -> None:
            super().__init__()
            parts = [part for _ in range(layers) for part in (nn.Linear(4, 4), nn.ReLU())]
            self.model = nn.Sequential(*parts)
            self.optimizer = sgd(self.model.parameters())

    recorded(tmp_path / "run.h5", lambda: Deep(2), 3)
    with pytest.raises(ResumeError, match=said):
        recorded(tmp_path / "run.h5", lambda: Deep(here), 3, resume=True)


def test_a_start_without_a_step_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    recorded(path, Training, 5)
    before = path.read_bytes()
    recorded(path, Training, 0, resume=True)
    assert path.read_bytes() == before


def test_another_number_of_ranks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "run.h5", Training, 5)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ResumeError, match="the recording of 1 process, and 2 train now"):
        recorded(tmp_path / "run.h5", Training, 0, resume=True)


def test_a_divergence_that_was_taken_back_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"

    class Doomed(Training):
        def run(self, steps: int) -> None:
            super().run(20)
            with torch.no_grad():
                self.model[0].weight.fill_(float("nan"))
            super().run(steps)

    recorded(path, Doomed, 5, is_killed=True)
    assert any(event.kind == "divergence" for event in read_run(path).events)
    saved = started(sgd, 15)
    recorded(path, lambda: Training().load(saved), 30, resume=True)
    run = read_run(path)
    assert np.isfinite(run["loss"]).all() and run.steps == 45
    assert not any(event.kind == "divergence" for event in run.events)
    assert run.attributes["nonfinite_origin"] == "null"


def test_the_gap_is_drawn(tmp_path: Path) -> None:
    run, _ = killed_and_resumed(tmp_path / "run.h5", sgd, resume_at=100)
    figure = loss(analyse_runs([run])[0])
    drawn = figure.data[0]
    assert np.isnan(drawn.y[list(drawn.x).index(99.5)])
    assert any(shape.type == "rect" and (shape.x0, shape.x1) == (29.5, 99.5) for shape in figure.layout.shapes)
    assert any("resumed, step 100" in note.text for note in figure.layout.annotations)


class Pair(Training):
    """Two models, each of which is called only before its own backward; ``calls`` says which of them trains at a step."""

    def __init__(self, calls: str = "ac", seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.actor, self.critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), nn.Linear(4, 1)
        self.optimizers = {"a": adam(self.actor.parameters()), "c": adam(self.critic.parameters())}
        self.calls, self.step = calls, 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(self.step))
            for call in self.calls:
                self.optimizers[call].zero_grad()
                (self.actor if call == "a" else self.critic)(inputs).square().mean().backward()
            for call in self.calls:
                self.optimizers[call].step()
            self.step += 1

    def load_pair(self, other: Pair) -> Pair:
        for mine, its in ((self.actor, other.actor), (self.critic, other.critic)):
            mine.load_state_dict(its.state_dict())
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(copy.deepcopy(other.optimizers[name].state_dict()))
        self.step = other.step
        return self


@pytest.mark.parametrize(("before", "since"), [("ac", "ac"), ("ac", "ca"), ("c", "ac"), ("a", "ac"), ("ca", "ac"), ("ac", "c")])
def test_models_that_come_one_after_another_go_on(tmp_path: Path, before: str, since: str) -> None:
    # GIVEN a recording of two models, of which some may not have trained yet
    path = tmp_path / "run.h5"
    first = recorded(path, lambda: Pair(before), 6, is_killed=True)
    there = read_run(path)
    # WHEN it goes on, and they run in another order, or the other comes only now
    recorded(path, lambda: Pair(since, seed=1).load_pair(first), 4, resume=True)  # type: ignore[arg-type]
    # THEN what was there has its place, and only what is new has a new one
    run = read_run(path)
    assert [one.step for one in run.resumptions] == [6] and run.steps == 10
    assert [layer.name for layer in run.layers][: len(there.layers)] == [layer.name for layer in there.layers]
    parts = set(before) | set(since)
    assert len(run.parameters) == 4 * ("a" in parts) + 2 * ("c" in parts)
    assert len(run.layers) == 4 * ("a" in parts) + 2 * ("c" in parts)
    # AND a model is one number, which is no other's
    numbers = {layer.model for layer in run.layers}
    assert len(numbers) == len(parts)
    assert {layer.model for layer in run.layers if layer.type == "Tanh" or layer.name.endswith("2")}.isdisjoint(
        {layer.model for layer in run.layers if layer.channels == 1}
    )


def test_optimizers_that_take_turns_are_counted_each(tmp_path: Path) -> None:
    class Turns(Pair):
        def run(self, steps: int) -> None:
            for _ in range(steps):
                for call, model in (("a", self.actor), ("c", self.critic)):
                    self.optimizers[call].zero_grad()
                    model(torch.randn(16, 4)).square().mean().backward()
                    self.optimizers[call].step()

    path = tmp_path / "run.h5"
    half = Turns()
    half.run(7)
    recorded(path, Turns, 10, every=50, is_killed=True)
    recorded(path, lambda: Turns(seed=1).load_pair(half), 2, resume=True)  # type: ignore[arg-type]
    assert [(one.step, one.before, one.known_by) for one in read_run(path).resumptions] == [(14, 19, "optimizer")]


def test_one_of_two_models_that_is_another_is_refused(tmp_path: Path) -> None:
    class Wider(Pair):
        def __init__(self) -> None:
            super().__init__()
            self.actor = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 2))
            self.optimizers["a"] = adam(self.actor.parameters())

    recorded(tmp_path / "run.h5", Pair, 3)
    with pytest.raises(ResumeError, match=r"0\.weight is 9x4 here and 8x4 there"):
        recorded(tmp_path / "run.h5", Wider, 3, resume=True)


class ByHand(Training):
    """Gradients are put into their places by the script; no backward is ever seen."""

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for parameter in self.model.parameters():
                parameter.grad = torch.full_like(parameter, 0.1)
            self.optimizer.step()
            self.step += 1


def test_a_training_without_a_backward_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    saved = recorded(path, lambda: ByHand(adam), 10, is_killed=True).save()
    recorded(path, lambda: ByHand(adam).load(saved), 5, resume=True)  # type: ignore[arg-type,return-value]
    run = read_run(path)
    assert [one.step for one in run.resumptions] == [10]
    assert run["step"].tolist() == list(range(15))


def test_a_fault_while_the_step_is_asked_for_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    recorded(path, Training, 10, is_killed=True)
    monkeypatch.setattr("bnprobe.observe.resuming.going_on.start_of", lambda *things, **options: 1 / 0)
    recorded(path, Training, 5, resume=True)
    run = read_run(path)
    assert [(one.step, one.known_by) for one in run.resumptions] == [(10, "none of them")]
    assert run["step"].tolist() == list(range(15))


def test_steps_that_nobody_recorded_were_made(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    recorded(path, lambda: Training(adam), 10, is_killed=True)
    saved = started(adam, 25)
    middle = recorded(path, lambda: Training(adam).load(saved), 10, resume=True, resume_at=25, every=50, is_killed=True)
    recorded(path, lambda: Training(adam).load(middle.save()), 5, resume=True)
    assert [(one.step, one.known_by) for one in read_run(path).resumptions] == [(25, "given"), (35, "optimizer")]


def test_a_rank_that_only_torch_knows_of_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    monkeypatch.setattr("bnprobe.observe.processes.of_group", lambda: Rank(1, 2))
    recorded(path, Training, 5)
    assert read_run(path).attributes["world_size"] == "2"
    saved = started(sgd, 3)
    recorded(path, lambda: Training().load(saved), 5, resume=True)
    assert read_run(path).steps == 8
    monkeypatch.undo()
    with pytest.raises(ResumeError, match="the recording of 2 ranks, and 1 trains now"):
        recorded(path, Training, 1, resume=True)


def test_parameters_without_a_module_keep_their_names(tmp_path: Path) -> None:
    class Free(Training):
        def __init__(self, optimizer: Optimizers = sgd, width: int = 8, seed: int = 0) -> None:
            super().__init__(optimizer, width, seed)
            self.free = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
            self.optimizer = optimizer([*self.free, *self.model.parameters()])

    path = tmp_path / "run.h5"
    first = recorded(path, Free, 5, is_killed=True)
    recorded(path, lambda: Free().load(first.save()), 5, resume=True)
    names = read_run(path)["parameter"].tolist()
    assert names == ["parameter0", "parameter1", "0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_start_that_a_later_one_went_behind_counts_no_more(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    recorded(path, Training, 10, is_killed=True)
    for begin in (40, 20):
        recorded(path, lambda: Training(seed=3), 5, resume=True, resume_at=begin, is_killed=True)
    run = read_run(path)
    assert run["step"].tolist() == [*range(10), *range(20, 25)]
    assert [(one.step, one.before, one.missing) for one in run.resumptions] == [(20, 9, 10)]
    assert run["resumption"].tolist() == [0]
