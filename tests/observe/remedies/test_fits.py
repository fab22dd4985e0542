"""What a recording says of which remedies could act is what --remedy then does: both ways, on the same script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import optimizer as torch_optimizer

from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.faults import Faults
from bnprobe.observe.remedies.fits import ADVISED, RemedyFits
from bnprobe.store.reader import read_run
from tests.observe.program_server import Job, ProgramServer
from tests.suites import shortened

SCRIPT = """
import copy, tempfile, torch
import torch.distributed as dist
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
torch.set_num_threads(1)
torch.manual_seed(0)
conv = lambda kernel=3, channels=4: nn.Conv2d(channels, 4, kernel, padding=kernel // 2)
model = {model}
{before}
optimizer = {optimizer}
{after}
for step in range(3):
    optimizer.zero_grad()
    loss = model(torch.randn(8, 4, 6, 6)).square().mean()
    loss.backward()
    optimizer.step()
"""
PLAIN = "nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))"
SGD = "torch.optim.SGD(model.parameters(), lr=0.01)"
NETWORKS = {
    "plain": (PLAIN, "", SGD, ""),
    "group-norm": ("nn.Sequential(conv(), nn.GroupNorm(2, 4), conv())", "", SGD, ""),
    "batch-norm": ("nn.Sequential(conv(), nn.BatchNorm2d(4), conv())", "", SGD, ""),
    "linear": ("nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.ReLU(), nn.Linear(8, 3))", "", SGD, ""),
    "pointwise": ("nn.Sequential(conv(), nn.ReLU(), conv(1), nn.ReLU(), conv(1))", "", SGD, ""),
    "weight-normed": ("nn.Sequential(weight_norm(conv()), nn.ReLU(), weight_norm(conv()))", "", SGD, ""),
    "transposed": ("nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 4, 3))", "", SGD, ""),
    "zero": ("nn.Sequential(conv(), nn.ReLU(), conv())", "[nn.init.zeros_(p) for p in model.parameters()]", SGD, ""),
    "loaded": (PLAIN, "model.load_state_dict(copy.deepcopy(model.state_dict()))", SGD, ""),
    "set-after": (PLAIN, "", SGD, "with torch.no_grad(): [p.add_(0.1) for p in model.parameters()]"),
    "compiled": (PLAIN, "model = torch.compile(model, backend='eager')", SGD, ""),
    "compiled-after": (PLAIN, "", SGD, "model = torch.compile(model, backend='eager')"),
    "wrapped": (
        PLAIN,
        "dist.init_process_group('gloo', init_method='file://' + tempfile.mktemp(), rank=0, world_size=1)\n"
        "model = nn.parallel.DistributedDataParallel(model)",
        SGD,
        "",
    ),
    "frozen": (PLAIN, "model[2].requires_grad_(False)", "torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)", ""),
    "two": (PLAIN, "head = nn.Linear(2, 2)", "torch.optim.SGD(head.parameters(), lr=0.1)", "optimizer = " + SGD),
}


@pytest.mark.parametrize("name", shortened(list(NETWORKS), 2))
def test_what_says_that_it_fits_acts_and_nothing_else_does(server: ProgramServer, tmp_path: Path, name: str) -> None:
    model, before, optimizer, after = NETWORKS[name]
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(model=model, before=before, optimizer=optimizer, after=after))

    def job(number: int, remedies: list[str]) -> Job:
        (tmp_path / str(number)).mkdir()
        options = {"budget": 1e9, "strict": True, "remedies": remedies}
        return Job(str(script), str(tmp_path / str(number)), str(tmp_path / f"{number}.h5"), options)

    plain, *tried = server.run(*(job(number, [one] if one else []) for number, one in enumerate(["", *ADVISED])))
    assert plain.status == 0, plain.stderr
    against = json.loads(str(read_run(tmp_path / "0.h5").attributes["remedy_fits"]))
    assert list(against) == list(ADVISED)
    acted = {one: outcome.status == 0 for one, outcome in zip(ADVISED, tried, strict=True)}
    assert {one: not why for one, why in against.items()} == acted, [outcome.stderr[-300:] for outcome in tried]
    assert acted["clip-norm"]


def test_shapes_alone_are_not_asked_and_compiled_code_meets_no_hook() -> None:
    told: list[str] = []
    before = dict(torch_optimizer._global_optimizer_pre_hooks)
    patches = Patches()
    RemedyFits(told.append, Faults(True, lambda place, reason: None)).attach(patches)
    try:
        with torch.device("meta"):
            model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
        torch.optim.SGD(model.parameters(), lr=0.1)
        assert set(json.loads(told[-1]).values()) == {"no model was seen"}
        assert torch_optimizer._global_optimizer_pre_hooks != before
        with patches.aside():
            assert torch_optimizer._global_optimizer_pre_hooks == before
    finally:
        patches.undo()
    assert torch_optimizer._global_optimizer_pre_hooks == before
