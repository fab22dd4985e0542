"""Runs unedited scripts with another diagnosis tool attached, as that tool's page tells to: for ``tests.benchmarks.peers``.

    python peer_runner.py TOOL SECONDS < JOBS

A job is a line, ``{"answer": file, "script": file, "arguments": [...]}``. It is run by the python that the tool is installed in, and
imports torch and the tool alone, once: a script is a forked child, which is stopped after so many seconds. The model is the first module
with parameters of an optimizer that is called with gradients on; the tool is attached there, is told of the loss where its page says so,
before or after the optimizer's step, and is asked at the end, also where the script failed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import runpy
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class Torchmortem:
    """``Autopsy`` with its defaults; ``step`` comes after the optimizer's. What it says: findings that are more than information."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        from torchmortem import Autopsy  # type: ignore[import-not-found]

        self._autopsy = Autopsy(model, optimizer=optimizer)
        self._autopsy.attach()

    def before_step(self, loss: float) -> None:
        """Nothing."""

    def after_step(self, loss: float) -> None:
        """Tell it the loss."""
        self._autopsy.step(loss=loss)

    def said(self) -> list[str]:
        """Titles of its findings, the gravest first."""
        self._autopsy.detach()
        report = self._autopsy.get_report()
        assert report is not None
        grave = [one for one in report.findings if one.severity.name != "INFO"]
        return [one.title for one in sorted(grave, key=lambda one: -int(one.severity))]


class NeuralDBG:
    """``NeuralDbg`` with its defaults; the loss comes before the optimizer's step. What it says: its failures, as first seen."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        from neuraldbg import NeuralDbg  # type: ignore[import-not-found]

        del optimizer
        self._debugger = NeuralDbg(model).__enter__()

    def before_step(self, loss: float) -> None:
        """Tell it the loss."""
        self._debugger.record_loss(loss)

    def after_step(self, loss: float) -> None:
        """Count the step."""
        self._debugger.step += 1

    def said(self) -> list[str]:
        """Kinds of failure that it noted, the earliest first, with the layer."""
        first = self._debugger.first_failure_step
        names = sorted(first, key=lambda name: first[name])
        layers = self._debugger.first_failure_layer
        self._debugger.__exit__(None, None, None)
        return [f"{name} in {layers.get(name)}" for name in names]


class Trainscope:
    """``TrainScope`` with its defaults; ``step`` comes before the optimizer's. What it says: spikes, and the signals of its report."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        from trainscope import TrainScope  # type: ignore[import-not-found]
        from trainscope.core.config import TrainScopeConfig  # type: ignore[import-not-found]

        self._config = TrainScopeConfig(run_dir=str(Path.cwd() / "trainscope"))
        self._scope = TrainScope(model, optimizer, config=self._config).attach()
        self._spikes = 0

    def before_step(self, loss: float) -> None:
        """Tell it the loss."""
        self._spikes += self._scope.step(loss) is not None

    def after_step(self, loss: float) -> None:
        """Nothing."""

    def said(self) -> list[str]:
        """A spike where there was one, and what fired, the earliest first."""
        from trainscope.analysis import run_signal_signature  # type: ignore[import-not-found]

        self._scope.detach()
        fired = asyncio.run(run_signal_signature(Path(self._config.run_dir) / str(self._config.run_name)))["fired"]
        return [*(["loss spike"] if self._spikes else []), *(f"signal {name}" for name in fired)]


TOOLS = {"torchmortem": Torchmortem, "neuraldbg": NeuralDBG, "trainscope": Trainscope}


class Attached:
    """Waits for the model, then tells the tool of every step of the first optimizer.

    Args:
        tool: its name in ``TOOLS``.
    """

    def __init__(self, tool: str) -> None:
        self._make = TOOLS[tool]
        self._tool: Any = None
        self._optimizers: list[torch.optim.Optimizer] = []
        self._loss = float("nan")
        self.steps = 0
        self._note_optimizers()
        self._note_losses()
        register_module_forward_pre_hook(self._meet_model)
        register_optimizer_step_pre_hook(self._before)
        register_optimizer_step_post_hook(self._after)

    def _note_optimizers(self) -> None:
        made, seen = torch.optim.Optimizer.__init__, self._optimizers

        def init(optimizer: torch.optim.Optimizer, *args: Any, **keywords: Any) -> None:
            made(optimizer, *args, **keywords)
            seen.append(optimizer)

        torch.optim.Optimizer.__init__ = init  # type: ignore[assignment, method-assign]

    def _note_losses(self) -> None:
        backward = torch.Tensor.backward

        def noted(loss: torch.Tensor, *args: Any, **keywords: Any) -> Any:
            if loss.numel() == 1:
                self._loss = float(loss.detach())
            return backward(loss, *args, **keywords)  # type: ignore[no-untyped-call]

        torch.Tensor.backward = noted  # type: ignore[assignment, method-assign]

    def _meet_model(self, module: torch.nn.Module, inputs: Any) -> None:
        own = {id(one) for one in module.parameters()}
        mine = [one for one in self._optimizers if any(id(each) in own for group in one.param_groups for each in group["params"])]
        if self._tool is None and torch.is_grad_enabled() and mine:
            self._tool = self._make(module, mine[0])
            self._optimizers = mine[:1]

    def _before(self, optimizer: Any, args: Any, keywords: Any) -> None:
        if self._tool is not None and optimizer is self._optimizers[0]:
            self._tool.before_step(self._loss)

    def _after(self, optimizer: Any, args: Any, keywords: Any) -> None:
        if self._tool is not None and optimizer is self._optimizers[0]:
            self._tool.after_step(self._loss)
            self.steps += 1

    def said(self) -> list[str]:
        """What the tool says at the end."""
        return self._tool.said() if self._tool is not None else []


def run(tool: str, answer: Path, script: Path, arguments: list[str]) -> None:
    """Run a script and write down what was said, after how many steps, and what failed."""
    attached, failed = Attached(tool), ""
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    folder = tempfile.mkdtemp()
    os.chdir(folder)  # tools leave files where they stand
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit:
        pass
    except BaseException as error:
        failed = f"{type(error).__name__}: {error}"
    found: dict[str, Any] = {"steps": attached.steps, "failed": failed}
    try:
        found["said"] = attached.said()
    except Exception as error:
        found["crashed"] = f"{type(error).__name__}: {error}"
    answer.write_text(json.dumps(found), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run the jobs one after the other; where a child left no answer, say so in its place."""
    tool, seconds = sys.argv[1], int(sys.argv[2])
    importlib.import_module(tool)
    for line in sys.stdin:
        job = json.loads(line)
        answer = Path(job["answer"]).absolute()
        if (child := os.fork()) == 0:
            signal.alarm(seconds)
            try:
                run(tool, answer, Path(job["script"]).absolute(), job["arguments"])
            finally:
                sys.stdout.flush()
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not answer.exists():
            answer.write_text(json.dumps({"crashed": f"the process ended with {os.waitstatus_to_exitcode(status)}"}), encoding="utf-8")


if __name__ == "__main__":
    main()
