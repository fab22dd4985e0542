"""The callbacks in real trainers of the installed packages: the same weights to the last bit, the file of the command line."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bnprobe.errors import UsageError
from bnprobe.integrations.trainers.fit import Fits
from bnprobe.store.reader import Run, read_run

NET = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
from torch import nn
torch.manual_seed(0)
inputs, targets = torch.randn(48, 6), torch.randint(0, 3, (48,))
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
def digest(model):
    print("digest", [p.detach().double().sum().item().hex() for p in model.parameters()])
recorded = sys.argv[1:] == ["callback"]
"""

LIGHTNING = (
    NET
    + """
import lightning.pytorch as pl
class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = network()
    def training_step(self, batch, index):
        if FAILS and self.global_step == 7:
            raise ValueError("no more data")
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        return loss
    def validation_step(self, batch, index):
        self.log("val", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)
callbacks = []
if recorded:
    from bnprobe.integrations.trainers.lightning import BnprobeCallback
    callbacks = [BnprobeCallback("run.h5")]
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, targets), batch_size=8)
model = Classifier()
pl.seed_everything(3, verbose=False)
trainer = pl.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, callbacks=callbacks, gradient_clip_val=0.5, accumulate_grad_batches=2)
try:
    trainer.fit(model, loader, loader)
finally:
    digest(model)
"""
)

TRANSFORMERS = (
    NET
    + """
from transformers import Trainer, TrainingArguments
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()
    def forward(self, x=None, labels=None):
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
callbacks = []
if recorded:
    from bnprobe.integrations.trainers.transformers import BnprobeCallback
    callbacks = [BnprobeCallback("run.h5")]
model = Model()
data = [{"x": x, "labels": y} for x, y in zip(inputs, targets)]
arguments = TrainingArguments(output_dir="out", per_device_train_batch_size=8, num_train_epochs=3, report_to=[], disable_tqdm=True,
    save_strategy="no", logging_strategy="no", seed=3, use_cpu=True, gradient_accumulation_steps=2)
if FAILS:
    from transformers import TrainerCallback
    class Fails(TrainerCallback):
        def on_step_begin(self, args, state, control, **others):
            if state.global_step == 7:
                raise ValueError("no more data")
    callbacks.append(Fails())
try:
    Trainer(model, arguments, train_dataset=data, callbacks=callbacks).train()
finally:
    digest(model)
"""
)

TRAINERS = {"lightning": LIGHTNING, "transformers": TRANSFORMERS}


def installed(name: str) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install -e '.[trainers]'")


def python(folder: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == status, done.stderr
    return next(line for line in done.stdout.splitlines() if line.startswith("digest"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_the_same_training_and_the_file_of_the_command_line(tmp_path: Path, name: str) -> None:
    installed(name)
    (tmp_path / "train.py").write_text(textwrap.dedent(f"FAILS = False\n{TRAINERS[name]}"))
    plain = python(tmp_path, "train.py")
    assert python(tmp_path, "train.py", "callback") == plain
    assert python(tmp_path, "-m", "bnprobe", "record", "-q", "-o", "command.h5", "train.py") == plain
    by_callback, by_command = read_run(tmp_path / "run.h5"), read_run(tmp_path / "command.h5")
    assert (by_callback.status, by_callback.problems, by_callback.steps) == ("finished", [], 9)
    np.testing.assert_array_equal(by_callback["loss"], by_command["loss"])
    np.testing.assert_array_equal(by_callback["micro_steps"], by_command["micro_steps"])
    inner = [weights_of(run) for run in (by_callback, by_command)]
    assert inner[0].keys() == inner[1].keys() and len(inner[0]) == 2
    for layer in inner[0]:
        np.testing.assert_array_equal(*(found[layer] for found in inner))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("lightning", "crashed"), ("transformers", "finished")])
def test_a_training_that_an_exception_ends(tmp_path: Path, name: str, status: str) -> None:
    """Hugging Face's trainer tells nobody: the file is closed with the process."""
    installed(name)
    (tmp_path / "train.py").write_text(textwrap.dedent(f"FAILS = True\n{TRAINERS[name]}"))
    plain = python(tmp_path, "train.py", status=1)
    assert python(tmp_path, "train.py", "callback", status=1) == plain
    run = read_run(tmp_path / "run.h5")
    assert (run.status, run.problems, run.steps) == (status, [], 7)


def weights_of(run: Run) -> dict[str, np.ndarray]:
    """The activations of the linear layers at every measured step, by name."""
    return {
        layer.name: run["activation_rms"][:, place]
        for place, layer in enumerate(run.layers)
        if layer.kind == "linear" and layer.role == "output"
    }


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown option 'evry'"):
        Fits("run.h5", {"evry": 2})


def test_every_fit_has_a_file_of_its_own(tmp_path: Path) -> None:
    import torch

    fits = Fits(tmp_path / "run.h5", {})
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for steps in (2, 3):
        fits.begin(model, [optimizer])
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).square().mean().backward()
            optimizer.step()
        fits.end()
        fits.end()
    assert fits.path == tmp_path / "run.2.h5"
    assert [read_run(tmp_path / name).steps for name in ("run.h5", "run.2.h5")] == [2, 3]
