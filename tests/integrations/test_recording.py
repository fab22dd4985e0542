"""``with bnprobe.record(...)``: the file of the command line, to the last number, and a training that does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import bnprobe
from bnprobe.errors import RemedyError, UsageError
from bnprobe.store.reader import read_run
from bnprobe.store.schema import VARIABLES

#: What no two runs have alike.
OF_THE_CLOCK = {"wall_time", "step_seconds", "observer_seconds"}

SCRIPT = """
    import sys
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 36, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    inputs, targets = torch.randn(16, 1, 8, 8), torch.randint(0, 3, (16,))

    def train(steps=12):
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
"""
PRINT = "print([p.detach().double().sum().item().hex() for p in model.parameters()])\n"


def python(*arguments, cwd):
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def small():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model, optimizer, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(3, 4)).square().mean().backward()
        optimizer.step()


@pytest.mark.slow
def test_the_file_is_that_of_the_command_line(tmp_path):
    script = textwrap.dedent(SCRIPT)
    (tmp_path / "plain.py").write_text(script + "train()\n" + PRINT)
    (tmp_path / "inside.py").write_text(
        script + "import bnprobe\nwith bnprobe.record(model, optimizer, 'inside.h5'):\n    train()\n" + PRINT
    )
    plain = python("plain.py", cwd=tmp_path)
    assert python("-m", "bnprobe", "record", "-q", "-o", "outside.h5", "plain.py", cwd=tmp_path) == plain
    assert python("inside.py", cwd=tmp_path) == plain
    inside, outside = read_run(tmp_path / "inside.h5"), read_run(tmp_path / "outside.h5")
    assert inside.status == "finished"
    assert inside.gaps == outside.gaps
    for name in set(VARIABLES) - OF_THE_CLOCK:
        np.testing.assert_array_equal(inside[name], outside[name], err_msg=name)


@pytest.mark.slow
def test_only_what_is_inside_the_block_is_recorded(tmp_path):
    model, optimizer = small()
    train(model, optimizer, steps=3)
    with bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        train(model, optimizer, steps=4)
    train(model, optimizer, steps=2)
    assert read_run(tmp_path / "run.h5").steps == 4


def test_it_can_be_read_while_it_goes_on(tmp_path):
    model, optimizer = small()
    with bnprobe.record(model, optimizer, tmp_path / "run.h5") as recording:
        train(model, optimizer, steps=6)
        assert recording.steps >= 5
        assert recording.open().view.steps >= 5


def test_an_exception_passes_and_is_kept(tmp_path):
    model, optimizer = small()
    with pytest.raises(ZeroDivisionError), bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        train(model, optimizer, steps=2)
        1 / 0  # noqa: B018
    run = read_run(tmp_path / "run.h5")
    assert (run.status, run.attributes["ending"]) == ("crashed", "ZeroDivisionError: division by zero")
    assert run.steps == 2
    with bnprobe.record(model, optimizer, tmp_path / "next.h5"):  # nothing is left of the first one
        train(model, optimizer)
    assert read_run(tmp_path / "next.h5").steps == 5


def test_one_at_a_time(tmp_path):
    model, optimizer = small()
    with (
        bnprobe.record(model, optimizer, tmp_path / "run.h5"),
        pytest.raises(UsageError, match="is being recorded to"),
        bnprobe.record(model, optimizer, tmp_path / "other.h5"),
    ):
        pass
    assert not (tmp_path / "other.h5").exists()


def test_a_file_is_not_overwritten_unasked(tmp_path):
    model, optimizer = small()
    for overwrite in (False, True):
        with bnprobe.record(model, optimizer, tmp_path / "run.h5", overwrite=overwrite):
            train(model, optimizer)
    with pytest.raises(UsageError, match="already exists"), bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        pass


def test_a_remedy_acts_and_stands_in_the_file(tmp_path):
    model, optimizer = small()
    with bnprobe.record(model, optimizer, tmp_path / "run.h5", remedies=["clip-norm:max=0.001"]):
        before = [p.detach().clone() for p in model.parameters()]
        train(model, optimizer, steps=1)
    moved = torch.stack([(p - old).norm() for p, old in zip(model.parameters(), before, strict=True)]).norm()
    assert moved.item() == pytest.approx(0.1 * 0.001, rel=1e-3)
    assert "clip-norm" in str(read_run(tmp_path / "run.h5").attributes["remedies"])


def test_a_refused_remedy_leaves_no_file(tmp_path):
    model, optimizer = small()
    with pytest.raises(RemedyError, match="nothing to act on"), bnprobe.record(model, optimizer, tmp_path / "run.h5", remedies=["msr"]):
        pass
    assert not (tmp_path / "run.h5").exists()
    with bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        pass


@pytest.mark.parametrize(("model", "optimizer", "word"), [("model", None, "torch.nn.Module"), (None, "optimizer", "torch optimizer")])
def test_what_is_no_model_and_no_optimizer_is_named(model, optimizer, word):
    true_model, true_optimizer = small()
    with pytest.raises(UsageError, match=word):
        bnprobe.record(model or true_model, [optimizer] if optimizer else true_optimizer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_leaves_the_file_alone(tmp_path):
    model, optimizer = small()
    with bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        train(model, optimizer, steps=3)
        child = os.fork()
        if not child:
            try:
                train(model, optimizer, steps=7)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        train(model, optimizer, steps=1)
    assert read_run(tmp_path / "run.h5").steps == 4
