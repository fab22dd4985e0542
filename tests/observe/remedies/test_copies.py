"""What a script makes of its model before the optimizer is built: copies, and a checkpoint loaded to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.observe.program_server import Job, Outcome, ProgramServer
from tests.suites import shortened

SCRIPT = """
import copy, os, torch
from torch import nn
import torch.nn.functional as F

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
    def forward(self, x):
        return x + self.conv2(self.act(self.conv1(x)))

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 4, 3, padding=1), Block(), nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.block(self.stem(x)).mean((2, 3)))

torch.set_num_threads(1)
torch.manual_seed(0)
model = Network()
if os.path.exists("last.pt"):
    saved = torch.load("last.pt")
    model.load_state_dict(saved["model"])
    torch.set_rng_state(saved["random"])
average = {copy}
weights = [p for n, p in model.named_parameters() if not n.endswith("bias")]
biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
optimizer = torch.optim.SGD([{{"params": weights, "weight_decay": 1e-3}}, {{"params": biases}}], lr=0.01, momentum=0.9)
if os.path.exists("last.pt"):
    optimizer.load_state_dict(saved["optimizer"])
    average.load_state_dict(saved["average"])
for step in range({steps}):
    if step == {save} and not os.path.exists("last.pt"):
        parts = {{"model": model, "optimizer": optimizer, "average": average}}
        torch.save({{"random": torch.get_rng_state(), **{{name: part.state_dict() for name, part in parts.items()}}}}, "last.pt")
    optimizer.zero_grad()
    F.cross_entropy(model(torch.randn(8, 3, 6, 6)), torch.randint(3, (8,))).backward()
    optimizer.step()
    with torch.no_grad():
        for p, q in zip(model.parameters(), average.parameters(), strict=True):
            q.lerp_(p, 0.5)
for each in (model, average):
    each.eval()
    print(*(value.item() for value in each(torch.ones(1, 3, 6, 6)).flatten()))
print("distance", max((p - q).abs().max().item() for p, q in zip(model.parameters(), average.parameters())))
print("frozen", not any(p.requires_grad for p in average.parameters()))
"""
DEEP = "copy.deepcopy(model).requires_grad_(False)"
LOADED = "Network().requires_grad_(False); average.load_state_dict(model.state_dict())"
REMEDIES = [
    "weight-norm",
    "msr",
    "skip-init",
    "batch-norm:affine",
    "msr:scale",
    "fixup",
    "spectral-norm:mean",
    "weight-standardisation",
    "dropout",
]


def run(server: ProgramServer, folder: Path, remedy: str, copy: str, steps: int, save: int = -1) -> Outcome:
    script = folder.parent / f"{folder.name}-{steps}.py"
    script.write_text(SCRIPT.format(copy=copy, steps=steps, save=save))
    folder.mkdir(exist_ok=True)
    options = {"budget": 1e9, "strict": True, "remedies": [remedy]}
    return server.run(Job(str(script), str(folder), str(folder.parent / "run.h5"), options))[0]


@pytest.mark.parametrize("remedy", shortened(REMEDIES, 2))
@pytest.mark.parametrize("copy", shortened([DEEP, LOADED], 1))
def test_a_copy_becomes_what_the_model_becomes(server: ProgramServer, tmp_path: Path, remedy: str, copy: str) -> None:
    start = run(server, tmp_path / "start", remedy, copy, steps=0)
    assert start.status == 0, start.stderr
    model, average, distance, frozen = start.stdout.splitlines()[-4:]
    assert model == average
    assert (distance, frozen) == ("distance 0.0", "frozen True")
    trained = run(server, tmp_path / "trained", remedy, copy, steps=20)
    assert trained.status == 0, trained.stderr
    assert float(trained.stdout.splitlines()[-2].split()[1]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("remedy", REMEDIES)
def test_training_goes_on_from_a_checkpoint_bit_for_bit(server: ProgramServer, tmp_path: Path, remedy: str) -> None:
    whole = run(server, tmp_path / "folder", remedy, DEEP, steps=6, save=3)
    assert whole.status == 0, whole.stderr
    again = run(server, tmp_path / "folder", remedy, DEEP, steps=3)
    assert again.status == 0, again.stderr
    assert again.stdout == whole.stdout


@pytest.mark.slow
def test_a_checkpoint_of_another_remedy_is_refused(server: ProgramServer, tmp_path: Path) -> None:
    run(server, tmp_path / "folder", "skip-init", DEEP, steps=2, save=1)
    outcome = run(server, tmp_path / "folder", "weight-norm", DEEP, steps=1)
    assert "holds 'block.conv2.added_branch_factor.factor', which the remedies asked for do not add" in outcome.stderr


@pytest.mark.slow
def test_a_forward_between_checkpoint_and_optimizer_is_refused(server: ProgramServer, tmp_path: Path) -> None:
    run(server, tmp_path / "folder", "skip-init", DEEP, steps=2, save=1)
    outcome = run(server, tmp_path / "folder", "skip-init", f"{DEEP}; model(torch.ones(1, 3, 6, 6))", steps=1)
    assert "holds a checkpoint of a training with remedies" in outcome.stderr
