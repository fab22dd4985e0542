"""Tapes in a file: what is asked of them later is answered as it was when the training ended, and nothing in them is code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnprobe.errors import RunFileError
from bnprobe.what_if.course import losses_differ
from bnprobe.what_if.kept.tape_file import read_tapes, write_tapes
from bnprobe.what_if.kept.tensors import TensorsIn, TensorsOut
from bnprobe.what_if.kept.torch_names import layer_class, operation, optimizer_class
from bnprobe.what_if.kept.unkept import Unkept, Unreadable
from bnprobe.what_if.remedy_edits import RemedyEdits
from bnprobe.what_if.rerun import Rerun
from tests.what_if.conftest import OPTIMIZER, Training, _python
from tests.what_if.test_rerun import KINDS, Make, Optimizers, Run, adam, cnn, momentum, normalised, plain, tape

TOKEN = "of this recording"


@pytest.mark.parametrize(
    ("make", "optimizer", "run"),
    [pytest.param(*kind, id=name, marks=[] if name == "normalised" else [pytest.mark.slow]) for name, *kind in KINDS],
)
def test_what_is_read_trains_as_what_was_written(
    make: Make, optimizer: Optimizers, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taped = tape(make, optimizer, run, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.built is not None and taped.edits is not None
    write_tapes(tmp_path / "run.tapes.npz", [(taped.program, taped.built)], TOKEN, 2**30)
    [(program, built)] = read_tapes(tmp_path / "run.tapes.npz", TOKEN).stretches
    rerun, written = Rerun(program), Rerun(taped.program)
    assert losses_differ(program, rerun.run(keep_values=True)) is None
    assert rerun.run(3.0).losses == written.run(3.0).losses
    edits = RemedyEdits(built, program)
    assert rerun.run(2.0, edits.of("agc")).losses == written.run(2.0, taped.edits.of("agc")).losses


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [OPTIMIZER, "torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)"])
def test_a_question_asked_later_in_another_process(training: Callable[..., Training], optimizer: str) -> None:
    script = training(optimizer=optimizer)
    script.record("--what-if", "24", "--what-if-remedy", "none", "--what-if-remedy", "msr", "--keep-tapes")
    then = script.answers()["remedies"]
    asked = json.loads(_python("-m", "bnprobe", "what-if", "--json", "--remedy", "none", "--remedy", "msr", str(script.run_file)))
    assert asked["proved"]
    for remedy in ("none", "msr"):
        assert [_told(one) for one in asked["remedies"][remedy]["trials"]] == [_told(one) for one in then[remedy]["trials"]]
    one = then["msr"]["trials"][-1]
    alone = json.loads(_python("-m", "bnprobe", "what-if", "--json", "--remedy", "msr", "--rate", repr(one["rate"]), str(script.run_file)))
    assert [_told(trial) for trial in alone["remedies"]["msr"]["trials"]] == [_told(one)]


def _told(trial: dict[str, Any]) -> list[Any]:
    return [trial["rate"], trial["outcome"], trial["reason"], trial["losses"]]


@pytest.mark.parametrize("factor", [3.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_from_a_step_on(factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faster_later(training: Any) -> None:
        made = 0

        def scale(optimizer: torch.optim.Optimizer, *anything: Any) -> None:
            nonlocal made
            if made == 10:
                for group in optimizer.param_groups:
                    group["lr"] *= factor
            made += 1

        training.optimizer.register_step_pre_hook(scale)
        plain(training)

    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    torch.manual_seed(0)
    later = tape(cnn, momentum, faster_later, tmp_path / "later.h5", monkeypatch)
    course = Rerun(taped.program).run(factor, start=10)
    assert course.losses == later.losses[: len(course.losses)]
    assert course.losses[:11] == taped.losses[:11]


def test_an_optimizer_of_the_scripts_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(torch.optim.SGD):
        pass

    taped = tape(cnn, lambda model: Mine(model.parameters(), lr=0.05), plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.built is not None
    with pytest.raises(Unkept, match="its optimizer Mine is a class of its own"):
        write_tapes(tmp_path / "tapes.npz", [(taped.program, taped.built)], TOKEN, 2**30)
    assert not (tmp_path / "tapes.npz").exists()


def test_what_is_too_large_or_of_another_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(normalised, adam, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.built is not None
    stretches = [(taped.program, taped.built)]
    with pytest.raises(Unkept, match="more than the 0 MiB that --what-if-memory allows"):
        write_tapes(tmp_path / "tapes.npz", stretches, TOKEN, 1000)
    size = write_tapes(tmp_path / "tapes.npz", stretches, TOKEN, 2**30)
    assert size == (tmp_path / "tapes.npz").stat().st_size
    with pytest.raises(RunFileError, match="another recording"):
        read_tapes(tmp_path / "tapes.npz", "of another")
    (tmp_path / "tapes.npz").write_bytes((tmp_path / "tapes.npz").read_bytes()[:-1000])
    with pytest.raises(RunFileError, match="cannot be read as tapes"):
        read_tapes(tmp_path / "tapes.npz", TOKEN)


@pytest.mark.parametrize(
    "name",
    [
        "aten::from_file",
        "aten::from_file.out",
        "aten::save",
        "aten::warn",
        "aten::__class__",
        "c10d::send",
        "os::system",
        "aten::relu.nothing",
    ],
)
def test_only_operations_on_tensors_are_called(name: str) -> None:
    with pytest.raises(Unreadable, match="no operation on tensors"):
        operation(name)


def test_only_classes_of_torch_are_made() -> None:
    with pytest.raises(Unreadable, match="no optimizer"):
        optimizer_class("lr_scheduler")
    with pytest.raises(Unreadable, match="no module"):
        layer_class({"name": "Popen", "module": "subprocess", "base": "Popen"})
    with pytest.raises(Unreadable, match="no module"):
        layer_class({"name": "load", "module": "torch.nn.modules.module", "base": "OrderedDict"})


def test_tensors_keep_their_layout_and_share_their_memory() -> None:
    base = torch.arange(48.0).reshape(6, 8)
    given = [base[2:4], base[3:5].t(), base[:, 1], torch.zeros(0, 3), torch.tensor(1.5, dtype=torch.bfloat16), torch.ones(1).expand(4)]
    out = TensorsOut()
    numbers = [out.number(tensor) for tensor in given]
    told, pieces, contents = out.close()
    assert sum(map(len, contents)) < 4 * 48 + 16, "memory that two tensors cover is kept once"
    back = TensorsIn(json.loads(json.dumps(told)), pieces, [np.array(content) for content in contents])
    for number, tensor in zip(numbers, given, strict=True):
        found = back.tensor(number)
        assert torch.equal(found, tensor) and found.stride() == tensor.stride() and found.dtype == tensor.dtype
        assert tensor.numel() == 0 or found.data_ptr() % 64 == tensor.data_ptr() % 64
    with pytest.raises(Unreadable, match="outside its memory"):
        TensorsIn([{**told[0], "shape": [200, 8]}], pieces, contents).tensor(0)
    with pytest.raises(Unkept, match="no plain array"):
        TensorsOut().number(torch.eye(2).to_sparse())
