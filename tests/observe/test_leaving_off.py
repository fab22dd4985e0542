"""A script that may be replaced by another program: its file is as if it had ended there; where it goes on, as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnprobe.launch.ending import finished, from_os_exit, from_replacement
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.store.reader import Run, read_run

BAD_STEP = 4


class Network(nn.Module):
    """Its ``shared`` layer is used by its weight alone, until it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(8, 16), nn.Linear(16, 16, bias=False), nn.Linear(16, 2)
        self.calls_shared = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(x))
        return self.last(self.shared(hidden) if self.calls_shared else functional.linear(hidden, self.shared.weight))


@contextmanager
def recording(path: Path, **options: int) -> Iterator[Recorder]:
    recorder = Recorder(path, RecordOptions(budget=1e9, **options), {})
    recorder.install()
    try:
        yield recorder
    finally:
        recorder.finish(finished())


def train(network: Network, steps: int, at_bad_loss: Callable[[], None] | None = None) -> None:
    """Train; where told what to do at a bad loss, the fifth batch has one, and gets no backward."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(steps):
        x, y = torch.randn(32, 8), torch.randint(0, 2, (32,))
        if at_bad_loss is not None and step == BAD_STEP:
            x[0, 0] = float("nan")
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), y)
        if not torch.isfinite(loss):
            assert at_bad_loss is not None
            at_bad_loss()
            continue
        loss.backward()
        optimizer.step()


def ended_at_the_bad_loss(path: Path, how: str) -> Run:
    """Record a training that ends at its bad loss, and read its file as it was then: another program has its place, or it has exited."""
    found: list[Run] = []
    torch.manual_seed(0)
    with recording(path) as recorder:

        def end() -> None:
            if how == "replaced":
                recorder.leave_off(from_replacement("os.execv"))
            else:
                recorder.finish(from_os_exit(0))
            found.append(read_run(path))

        train(Network(), BAD_STEP + 1, end)
    return found[0]


def test_another_program_leaves_what_an_exit_leaves(tmp_path: Path) -> None:
    replaced, exited = (ended_at_the_bad_loss(tmp_path / f"{how}.h5", how) for how in ("replaced", "exited"))
    assert exited["step"].tolist() == list(range(BAD_STEP + 1)), "the step that went wrong is one of them"
    assert [gap.subject for gap in exited.gaps] == ["shared"]
    for name in ("step", "snapshot"):
        assert replaced[name].tolist() == exited[name].tolist()
    for name in ("activation_rms", "activation_nonfinite", "parameter_gradient_norm"):
        np.testing.assert_array_equal(replaced[name], exited[name])
    assert replaced.gaps == exited.gaps
    assert replaced.events == exited.events
    assert replaced.attributes["backwards_without_update"] == exited.attributes["backwards_without_update"]
    told = [replaced.attributes[name] for name in ("status", "ending", "exit_status")]
    assert told == ["exited", "os.execv", -1]


@pytest.mark.parametrize("may_be_replaced", [False, True])
def test_a_training_that_goes_on_is_recorded_as_if_nothing_had_been(tmp_path: Path, may_be_replaced: bool) -> None:
    torch.manual_seed(0)
    path, network = tmp_path / "run.h5", Network()
    with recording(path) as recorder:

        def go_on() -> None:
            if may_be_replaced:
                recorder.leave_off(from_replacement("os.execv"))
                recorder.leave_off(None)
                during = read_run(path)
                assert (during.attributes["status"], during.attributes["ending"], during.gaps) == ("running", "", [])
            network.calls_shared = True

        train(network, 9, go_on)
    run = read_run(path)
    assert run["step"].tolist() == list(range(8))
    assert np.isfinite(run["loss"]).all()
    assert np.nansum(run["activation_nonfinite"]) == 0
    assert not [event for event in run.events if event.kind == "divergence"]
    assert run.gaps == []
    assert (run.attributes["status"], run.attributes["ending"], run.attributes["exit_status"]) == ("finished", "", 0)


def test_a_signal_after_it_writes_the_step_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with recording(tmp_path / "run.h5") as recorder:

        def end() -> None:
            recorder.leave_off(from_replacement("os.execv"))
            recorder.finish(from_os_exit(3))

        train(Network(), BAD_STEP + 1, end)
    run = read_run(tmp_path / "run.h5")
    assert run["step"].tolist() == list(range(BAD_STEP + 1))
    assert run.attributes["ending"] == "os._exit(3)"


def test_what_was_asked_of_the_training_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "run.h5"
    with recording(path, what_if=12) as recorder:
        train(Network(), 3)
        recorder.leave_off(from_replacement("os.execv"))
        (refused,) = json.loads(read_run(path).attributes["what_if_refused"])
        recorder.leave_off(None)
    assert refused == {"what": "all", "why": "another program was to take the script's place before it was answered"}
    (refused,) = json.loads(read_run(path).attributes["what_if_refused"])
    assert "another program" not in refused["why"]


def test_nothing_is_recorded_of_a_script_that_only_builds(tmp_path: Path) -> None:
    with recording(tmp_path / "run.h5") as recorder:
        Network()
        assert not recorder.has_rows
        train(Network(), 1)
        recorder.settle()
        assert recorder.has_rows
