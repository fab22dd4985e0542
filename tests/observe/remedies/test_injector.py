"""Remedies on unedited scripts: what the script trains to is what it would with ``bnprobe.remedies.apply`` written into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bnprobe.store.reader import read_run
from tests.observe.program_server import Job, Outcome, ProgramServer
from tests.suites import shortened

SCRIPT = """
import copy, pickle, sys, torch
from torch import nn
import torch.nn.functional as F

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(self.relu(x))))

torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Block(), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
{before}
optimizer = {optimizer}
{after}
for step in range(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(torch.randn(8, 3, 6, 6)), torch.randint(3, (8,)))
    loss.backward()
    optimizer.step()
for name, value in model.state_dict().items():
    print(name, tuple(value.shape), value.double().sum().item(), value.double().square().sum().item())
{end}
"""
SGD = "torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)"

Train = Callable[..., Outcome]


@pytest.fixture
def train(server: ProgramServer, tmp_path: Path) -> Train:
    def run(*remedies: str, before: str = "", optimizer: str = SGD, after: str = "", end: str = "", recorded: bool = True) -> Outcome:
        script = tmp_path / "train.py"
        script.write_text(SCRIPT.format(before=before, optimizer=optimizer, after=after, end=end))
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        options = {"budget": 1e9, "strict": True, "remedies": list(remedies)}
        return server.run(Job(str(script), str(folder), str(tmp_path / "run.h5") if recorded else None, options if recorded else {}))[0]

    return run


def record_of(tmp_path: Path) -> list[dict[str, object]]:
    return json.loads(str(read_run(tmp_path / "run.h5").attributes["remedies"]))


REMEDIES = [
    "msr",
    "msr:scale,noise",
    "batch-norm:affine",
    "weight-norm",
    "spectral-norm",
    "agc",
    "skip-init",
    "fixup",
    "dropout:after=convolutions",
]


@pytest.mark.parametrize("remedy", shortened(REMEDIES, 3))
def test_trains_as_if_it_were_written_into_the_script(train: Train, remedy: str) -> None:
    operated = train(remedy)
    written = train(before=f"import bnprobe.remedies; bnprobe.remedies.apply({remedy!r}, model)", recorded=False)
    assert operated.status == written.status == 0, operated.stderr
    assert operated.stdout == written.stdout
    assert operated.stdout != train(recorded=False).stdout


def test_the_run_file_says_what_was_done(train: Train, tmp_path: Path) -> None:
    train("msr:w=0.99", "clip-norm")
    msr, clip = record_of(tmp_path)
    assert (msr["specification"], msr["touched"]) == ("msr:w=0.99", ["0", "1.conv1", "1.conv2"])
    assert (clip["name"], clip["count"]) == ("clip-norm", 8)
    run = read_run(tmp_path / "run.h5")
    assert run.steps == 4
    assert [event.text for event in run.events if event.kind == "remedy"] == [
        "remedy msr:w=0.99 acts on 3 convolution kernels",
        "remedy clip-norm acts on 8 parameters",
    ]


def test_the_recorded_update_is_the_projected_one(train: Train, tmp_path: Path) -> None:
    train("clip-value:max=0", optimizer="torch.optim.SGD(model.parameters(), lr=0.05)")
    run = read_run(tmp_path / "run.h5")
    assert (run["parameter_gradient_norm"] > 0).all()  # as the script's backward left it
    assert (run["update_norm"] == 0).all()


@pytest.mark.parametrize(
    ("name", "before", "optimizer"),
    shortened(
        [
            ("copied", "model = copy.deepcopy(model)", SGD),
            ("groups", "", "torch.optim.SGD([{'params': model[0].parameters()}, {'params': model[1:].parameters(), 'lr': 0.01}], lr=0.05)"),
            ("adagrad", "", "torch.optim.Adagrad(model.parameters(), lr=0.01)"),
            ("named", "", "torch.optim.AdamW(model.named_parameters(), lr=0.01)"),
            ("lbfgs-built-first", "torch.optim.LBFGS(model.parameters())", SGD),
        ],
        2,
    ),
)
def test_finds_the_model_however_the_optimizer_is_built(train: Train, tmp_path: Path, name: str, before: str, optimizer: str) -> None:
    outcome = train("weight-norm", before=before, optimizer=optimizer)
    assert outcome.status == 0, outcome.stderr
    (entry,) = record_of(tmp_path)
    assert entry["touched"] == ["0", "1.conv1", "1.conv2", "4"]
    assert "0.parametrizations.weight.original0" in outcome.stdout


def test_lengths_are_trained_by_the_optimizer(train: Train) -> None:
    check = (
        "g = model[0].parametrizations.weight.original0; print(sum(p is g for group in optimizer.param_groups for p in group['params']))"
    )
    assert train("weight-norm", end=check).stdout.splitlines()[-1] == "1"


def test_each_of_two_models_is_treated_and_a_second_optimizer_changes_nothing(train: Train, tmp_path: Path) -> None:
    outcome = train(
        "msr",
        before="other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)); linear = nn.Linear(2, 2)",
        after="""
torch.optim.Adam(other.parameters())
kept = other[1].weight.clone()
torch.optim.SGD(other.parameters(), lr=1.0)
torch.optim.SGD(linear.parameters(), lr=1.0)
""",
        end="print(torch.equal(kept, other[1].weight), other[1].weight.mean((2, 3)).abs().max().item() < 1e-7)",
    )
    assert outcome.stdout.splitlines()[-1] == "True True"
    assert [entry["touched"] for entry in record_of(tmp_path)] == [["0", "1.conv1", "1.conv2"], ["0", "1"]]


def test_modules_that_are_not_trained_are_left_alone(train: Train, tmp_path: Path) -> None:
    train("msr", optimizer="torch.optim.SGD(model[1].parameters(), lr=0.05)")
    # the residual block's own first convolution counts as the first that is trained
    assert record_of(tmp_path)[0]["touched"] == ["1.conv1", "1.conv2"]


WRAPPED = """
import torch.distributed as dist, tempfile
dist.init_process_group("gloo", init_method=f"file://{tempfile.mktemp()}", rank=0, world_size=1)
model = nn.parallel.DistributedDataParallel(model)
"""


class TestRefusal:
    @pytest.mark.parametrize(
        ("remedy", "before", "message", "hint"),
        [
            ("no-norm", "", "no-norm found nothing to act on: no normalisation", None),
            ("batch-norm", "model = torch.compile(model, backend='eager')", "torch.compile has fixed it", "bnprobe.remedies.apply("),
            (
                "msr",
                WRAPPED,
                "DistributedDataParallel has fixed it",
                'ahead of DistributedDataParallel: bnprobe.remedies.apply("msr", model)',
            ),
            (
                "msr",
                "model.load_state_dict(copy.deepcopy(model).state_dict())",
                "weights were loaded into this Sequential",
                "msr:keep-weights",
            ),
            (
                "msr",
                "model[1].load_state_dict(copy.deepcopy(model[1]).state_dict())",
                "weights were loaded into this Block",
                "msr:keep-weights",
            ),
        ],
        ids=["nothing", "compiled", "wrapped", "loaded", "partly-loaded"],
    )
    def test_stops_before_training(self, train: Train, tmp_path: Path, remedy: str, before: str, message: str, hint: str | None) -> None:
        outcome = train(remedy, before=before)
        assert outcome.status != 0
        assert outcome.stdout == ""
        assert message in outcome.stderr
        run = read_run(tmp_path / "run.h5")
        assert run.steps == 0
        assert run.status == "crashed"

    def test_a_script_that_catches_everything_does_not_train_either(self, train: Train, tmp_path: Path) -> None:
        careless = """
class Careless(torch.optim.SGD):
    def __init__(self, *args, **kwargs):
        try:
            super().__init__(*args, **kwargs)
        except Exception:
            print("never mind")
"""
        loaded = "model.load_state_dict(copy.deepcopy(model).state_dict())"
        outcome = train("msr", before=careless + loaded, optimizer="Careless(model.parameters(), lr=0.1)")
        assert outcome.stdout == "never mind\n"
        assert "weights were loaded" in outcome.stderr
        assert read_run(tmp_path / "run.h5").steps == 0

    def test_parameters_of_no_module(self, train: Train, tmp_path: Path) -> None:
        outcome = train("clip-norm", optimizer="torch.optim.SGD([torch.zeros(3, requires_grad=True)], lr=1.0)")
        assert "the 1 parameters of SGD belong to no module" in outcome.stderr
        assert read_run(tmp_path / "run.h5").steps == 0

    def test_kept_weights_may_have_been_loaded(self, train: Train) -> None:
        assert train("msr:keep-weights", before="model.load_state_dict(copy.deepcopy(model).state_dict())").status == 0

    def test_gradients_alone_may_change_after_wrapping(self, train: Train) -> None:
        assert train("agc", "clip-norm", before=WRAPPED, end="del model; dist.destroy_process_group()").status == 0


class TestSeveralOptimizers:
    GAN = """
generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 1, 4, 2, 1))
"""
    OTHER = "torch.optim.Adam(generator.parameters())"

    @pytest.mark.parametrize("generator_first", [True, False])
    def test_whichever_is_built_first_a_remedy_acts_where_it_can(self, train: Train, tmp_path: Path, generator_first: bool) -> None:
        before, after = (self.GAN + self.OTHER, "") if generator_first else (self.GAN, self.OTHER)
        assert train("msr", before=before, after=after).status == 0
        (entry,) = record_of(tmp_path)
        assert entry["touched"] == ["0", "1.conv1", "1.conv2"]
        told = [event.text for event in read_run(tmp_path / "run.h5").events if event.kind == "remedy"]
        assert sum("what Adam trains is left as it is: remedy msr found nothing" in text for text in told) == 1

    def test_what_each_of_them_trains_is_clipped(self, train: Train) -> None:
        before = "biases = [p for n, p in model.named_parameters() if n.endswith('bias')]"
        outcome = train(
            "dropout:after=convolutions",
            "clip-value:max=0.001",
            before=before,
            optimizer="torch.optim.SGD([p for n, p in model.named_parameters() if n.endswith('weight')], lr=0.1)",
            after="second = torch.optim.SGD(biases, lr=0.1)\nsecond.zero_grad()",
            end="second.step(); print(max(p.grad.abs().max().item() for p in biases))",
        )
        assert outcome.status == 0, outcome.stderr
        assert float(outcome.stdout.splitlines()[-1]) == pytest.approx(0.001)

    @pytest.mark.parametrize("collect", ["", "import gc; gc.collect()"])
    def test_the_first_convolution_is_that_of_the_model_whose_parameters_come_first(self, train: Train, collect: str) -> None:
        outcome = train(
            "msr",
            before=f"{collect}\nhead = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))\nfrom itertools import chain",
            optimizer="torch.optim.SGD(chain(model.parameters(), head.parameters()), lr=0.05)",
            end="print([c.weight.mean((2, 3)).abs().max().item() < 1e-6 for c in (model[0], model[1].conv1, head[0], head[1])])",
        )
        assert outcome.stdout.splitlines()[-1] == "[False, True, True, True]"

    @pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch 2.9 has it first")
    @pytest.mark.parametrize("muon_first", [True, False])
    def test_scales_beside_muons_matrices_go_to_the_optimizer_of_the_vectors(self, train: Train, muon_first: bool) -> None:
        muon = "torch.optim.Muon([model[4].weight], lr=0.01)"
        sgd = "torch.optim.SGD(rest, lr=0.01)"
        find = "g = model[4].parametrizations.weight.original0; print([sum(p is g for p in o.param_groups[0]['params']) for o in both])"
        rest = "rest = [p for p in model.parameters() if p is not model[4].weight]"
        both = f"{rest}\nboth = [{muon}, {sgd}]" if muon_first else f"{rest}\nboth = [{sgd}, {muon}][::-1]"
        outcome = train("weight-norm", before=both, optimizer="both[1]", end=find)
        assert outcome.stdout.splitlines()[-1] == "[0, 1]", outcome.stderr
