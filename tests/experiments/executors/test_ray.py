"""What a task of Ray is given, and asks for, with a stand-in for Ray that runs a task at once in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnprobe.errors import UsageError
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.order import Change, Script, TrialOrder

GPUS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
SHOWN = (*GPUS, "TMPDIR", "OF_THE_COMMAND")


class Task:
    def __init__(self, function: Callable[..., str]) -> None:
        self._function = function
        self.asked: dict[str, Any] = {}

    def options(self, **asked: Any) -> Task:
        self.asked = asked
        return self

    def remote(self, command: list[str], *given: Any) -> str:
        shown = f"import json, os; json.dump({{name: os.environ.get(name) for name in {SHOWN}}}, open('shown', 'w'))"
        return self._function([sys.executable, "-c", shown], *given)


@contextmanager
def on_ray(monkeypatch: pytest.MonkeyPatch, gpus: int = 0, **sizes: float) -> Iterator[Executor]:
    """An executor on a cluster of one node that lives, and a large one that does not."""
    nodes = [{"Alive": True, "Resources": sizes}, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}]
    ray = SimpleNamespace(init=lambda **_: None, shutdown=lambda: None, remote=Task, nodes=lambda: nodes)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with Resources("ray", gpus=gpus).open() as executor:
        yield executor


def order_of(threads: int) -> TrialOrder:
    return TrialOrder(Script("train.py", False, ()), Change(), None, threads, command="lr-limit")


def shown(folder: Path) -> dict[str, str | None]:
    [file] = folder.glob("attempt-1-*/shown")
    found: dict[str, str | None] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize(("gpus", "seen"), [(0, ""), (1, "of the node")])
def test_a_trial_sees_the_gpus_that_it_has_asked_for(gpus: int, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHOWN:
        monkeypatch.setenv(name, "of the command")
    with on_ray(monkeypatch, gpus, CPU=2.0, GPU=1.0) as executor:
        for name in SHOWN:
            monkeypatch.setenv(name, "of the node")
        executor.start(order_of(2), tmp_path / "trial-1")
    assert shown(tmp_path / "trial-1") == {**dict.fromkeys(GPUS, seen), "TMPDIR": "of the node", "OF_THE_COMMAND": "of the command"}


@pytest.mark.parametrize(("threads", "gpus"), [(3, 0), (2, 2)])
def test_what_no_node_has_is_refused_before_the_first_task(
    threads: int, gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        on_ray(monkeypatch, gpus, CPU=2.0, GPU=1.0) as executor,
        pytest.raises(UsageError, match=f"has {threads} processors and {gpus} GPUs"),
    ):
        executor.start(order_of(threads), tmp_path / "trial-1")


def test_a_cluster_that_is_gone_without_a_word_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(UsageError, match="there is no Ray cluster to use: ConnectionError"), Resources("ray").open():
        pass
