"""Trainers that others wrote, run plainly and recorded: the same bits, and nothing of the training missed.

They are no dependencies of ours: what is not installed is skipped. `docs/programs.md` says with which versions these were run.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.reader import Run, read_run

pytestmark = pytest.mark.slow

#: Ends every script: what would differ if the recorder had touched the training.
DIGEST = "print(*(value.hex() for value in (float(p.detach().double().sum()) for p in model.parameters())))\n"

LIGHTNING = """
    import lightning, torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    class Task(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = {automatic}
            self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3))

        def training_step(self, batch, index):
            loss = nn.functional.cross_entropy(self.body(batch[0]), batch[1])
            if not self.automatic_optimization:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

        def validation_step(self, batch, index):
            self.log("error", nn.functional.cross_entropy(self.body(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    lightning.seed_everything(0)
    data = DataLoader(TensorDataset(torch.randn(96, 6), torch.randint(3, (96,))), batch_size=4)
    model = Task()
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", **quiet, **{settings})
    trainer.fit(model, data, data)
"""

TRANSFORMERS = """
    import torch, transformers

    transformers.set_seed(0)
    model = {model}
    arguments = transformers.TrainingArguments(
        "out", max_steps=6, per_device_train_batch_size=4, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True,
        logging_strategy="no", **{settings}
    )
    data = [dict(input_ids=x, labels=x) for x in torch.randint(60, (64, 12), generator=torch.Generator().manual_seed(1))]
    transformers.Trainer(model=model, args=arguments, train_dataset=data).train()
"""
SMALL = (
    "vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=16, "
    "pad_token_id=None"
)
BERT = f"transformers.BertForMaskedLM(transformers.BertConfig({SMALL}))"
LLAMA = f"transformers.LlamaForCausalLM(transformers.LlamaConfig({SMALL}))"
GPT2 = "transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=16))"

ACCELERATE = """
    import accelerate, torch
    from torch import nn

    accelerate.utils.set_seed(0)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2, mixed_precision="bf16")
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3))
    data = torch.utils.data.TensorDataset(torch.randn(48, 8), torch.randint(3, (48,)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model, optimizer, loader = accelerator.prepare(model, optimizer, torch.utils.data.DataLoader(data, batch_size=4, shuffle=True))
    for x, y in loader:
        with accelerator.accumulate(model):
            accelerator.backward(nn.functional.cross_entropy(model(x), y))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
"""

SKORCH = """
    import skorch, torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.drop, self.head = nn.Linear(8, 16), nn.Dropout(), nn.Linear(16, 2)

        def forward(self, x):
            return torch.softmax(self.head(self.drop(torch.relu(self.hidden(x)))), -1)

    torch.manual_seed(0)
    x, y = torch.randn(80, 8).numpy(), (torch.arange(80) % 2).numpy()
    model = skorch.NeuralNetClassifier(Net, max_epochs=3, lr=0.1, batch_size=16, verbose=0).fit(x, y).module_
"""

IGNITE = """
    import torch
    from ignite.engine import create_supervised_evaluator, create_supervised_trainer
    from ignite.engine import Events
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 36, 3))
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(48, 1, 8, 8), torch.randint(3, (48,))), batch_size=8
    )
    trainer = create_supervised_trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=3), lambda: evaluator.run(data, epoch_length=2))
    trainer.run(data, max_epochs=1)
"""


@dataclass(frozen=True)
class Case:
    """A trainer's script and what must be seen of it.

    Attributes:
        package: what it needs.
        script: the script.
        steps: optimizer steps.
        micro_steps: backward calls of each step.
        layers: some of the layers, outputs only.
        evaluations: forward passes that belong to no step; None leaves it open.
        without_gradient: layers whose output has no gradient.
    """

    package: str
    script: str
    steps: int
    micro_steps: int
    layers: tuple[str, ...]
    evaluations: int | None = 0
    without_gradient: tuple[str, ...] = ()


def lightning(*, automatic: bool = True, **settings: object) -> str:
    return LIGHTNING.replace("{automatic}", str(automatic)).replace("{settings}", repr(settings))


def transformers(model: str, **settings: object) -> str:
    return TRANSFORMERS.replace("{model}", model).replace("{settings}", repr(settings))


BODY = ("body.0", "body.1", "body.2")
# A validation of a module that is never called whole is not counted.
CASES = {
    "lightning": Case("lightning", lightning(), 24, 1, BODY, None),
    "lightning-accumulation": Case("lightning", lightning(accumulate_grad_batches=2, gradient_clip_val=0.5), 12, 2, BODY, None),
    "lightning-manual": Case("lightning", lightning(automatic=False), 24, 1, BODY, None),
    "bert": Case("transformers", transformers(BERT), 6, 1, ("bert.embeddings.word_embeddings", "bert.encoder.layer.1.output.dense")),
    "bert-checkpointing": Case(
        "transformers", transformers(BERT, gradient_checkpointing=True, bf16=True), 6, 1, ("bert.encoder.layer.1.output.dense",)
    ),
    "gpt2-accumulation": Case(
        "transformers", transformers(GPT2, gradient_accumulation_steps=2), 6, 2, ("transformer.wte", "transformer.h.1.mlp.c_fc", "lm_head")
    ),
    "llama": Case(
        "transformers",
        transformers(LLAMA),
        6,
        1,
        ("model.layers.0.input_layernorm", "model.norm", "lm_head"),
        without_gradient=("model.rotary_emb",),
    ),
    "accelerate": Case("accelerate", ACCELERATE, 6, 2, ("0", "1", "2", "3")),
    "skorch": Case("skorch", SKORCH, 12, 1, ("hidden", "drop", "head"), 3),
    "ignite": Case("ignite", IGNITE, 6, 1, ("0", "1", "2", "4"), 4),
}


@pytest.mark.parametrize("name", CASES)
def test_a_trainer_is_untouched_and_seen_whole(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if importlib.util.find_spec(case.package) is None:
        pytest.skip(f"{case.package} is not installed")
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(case.script) + DIGEST)
    file = tmp_path / "run.h5"
    plain = python(str(script))
    # Nothing is thinned: what is expected must not depend on how busy the machine is.
    recorded = python("-m", "bnprobe", "record", "-q", "--budget", "1e9", "-o", str(file), str(script))
    assert plain.returncode == 0, plain.stderr
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stdout.splitlines()[-1] == plain.stdout.splitlines()[-1]  # before it some trainers say how long they took
    assert "bnprobe:" not in recorded.stderr
    check(read_run(file), case)


def check(run: Run, case: Case) -> None:
    assert run.status == "finished"
    assert run.gaps == []
    assert run.steps == case.steps
    assert run["micro_steps"].tolist() == [case.micro_steps] * case.steps
    assert np.isfinite(run["loss"]).all()
    differentiable = [place for place, layer in enumerate(run.layers) if layer.role == "output" and layer.name not in case.without_gradient]
    assert {layer.name for layer in run.layers} >= set(case.layers)
    assert np.isfinite(run["activation_rms"]).all()
    assert np.isfinite(run["activation_gradient_rms"][:, differentiable]).all()
    for name in ("parameter_gradient_norm", "update_norm"):
        assert np.isfinite(run[name]).all()
    if case.evaluations is not None:
        assert run["evaluations"].sum() == case.evaluations


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    environment = {**inherited, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=200)
