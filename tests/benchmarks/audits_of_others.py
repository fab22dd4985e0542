"""What `bnprobe audit` says of networks with batch norm that others wrote: each trained for a few dozen steps on small data.

    python -m tests.benchmarks.audits_of_others [--repositories FOLDER] [--keep FOLDER] [NAME ...]

Needs torchvision and timm. `pointnet` and `dcgan` need checkouts of yanx27/Pointnet_Pointnet2_pytorch (`pointnet`) and pytorch/examples
(`examples`) in the folder that is named. Nothing is fetched, and no line of theirs stands here. Pictures are the digits that are shipped,
at 32x32 in three colours; points are drawn from a box, a ball and a rod.

docs/audits_of_others.md has what came out, beside what a reader of the networks would say.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
STEPS = 60


@dataclass(frozen=True)
class Case:
    """A network, and how it is trained: in most the way its kind usually is.

    Attributes:
        make: returns it, given the folder of checkouts.
        batch: samples of a step.
        optimizer: of its parameters.
        data: pictures or points.
    """

    make: Callable[[Path], nn.Module]
    batch: int
    optimizer: Callable[[Any], torch.optim.Optimizer]
    data: str = "pictures"


def torchvision(name: str, **settings: Any) -> Callable[[Path], nn.Module]:
    return lambda _: importlib.import_module("torchvision.models").get_model(name, num_classes=10, **settings)  # type: ignore[no-any-return]


def timm(name: str, **settings: Any) -> Callable[[Path], nn.Module]:
    return lambda _: importlib.import_module("timm").create_model(name, num_classes=10, **settings)  # type: ignore[no-any-return]


def checkout(folder: str, module: str, name: str, **settings: Any) -> Callable[[Path], nn.Module]:
    def make(repositories: Path) -> nn.Module:
        sys.path.insert(0, str(repositories / folder / "models"))
        return getattr(importlib.import_module(module), name)(**settings)  # type: ignore[no-any-return]

    return make


def sgd(lr: float, decay: float = 5e-4) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=decay)


CASES = {
    "resnet18": Case(torchvision("resnet18"), 32, sgd(0.05)),
    "mobilenet_v2": Case(torchvision("mobilenet_v2"), 32, sgd(0.05, 4e-5)),
    "shufflenet_v2_x0_5": Case(torchvision("shufflenet_v2_x0_5"), 64, sgd(0.1, 4e-5)),
    "densenet121": Case(torchvision("densenet121"), 32, sgd(0.05, 1e-4)),
    "mnasnet0_5": Case(torchvision("mnasnet0_5"), 32, sgd(0.05, 1e-5)),
    "efficientnet_b0": Case(timm("efficientnet_b0"), 32, lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.05)),
    "resnet10t": Case(timm("resnet10t"), 4, sgd(0.01)),
    "mobilenet_v3_small": Case(
        torchvision("mobilenet_v3_small"), 64, lambda p: torch.optim.RMSprop(p, lr=2e-3, momentum=0.9, weight_decay=1e-5)
    ),
    "regnet_x_400mf": Case(torchvision("regnet_x_400mf"), 32, sgd(0.02)),
    "pointnet": Case(
        checkout("pointnet", "pointnet_cls", "get_model", k=3, normal_channel=False),
        24,
        lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=1e-4),
        "points",
    ),
}
#: Trained by a script of its own, unedited.
SCRIPTS = {
    "dcgan": (
        "examples/dcgan",
        ["main.py", "--dataset", "fake", "--niter", "3", "--ngf", "8", "--ndf", "8", "--workers", "0", "--manualSeed", "0"],
    )
}


def pictures(size: int) -> Iterator[tuple[Tensor, Tensor]]:
    sys.path.insert(0, str(ROOT / "sample_runs"))
    cifar, digits = importlib.import_module("cifar"), importlib.import_module("digits")
    shown = cifar.upscaled_digits()
    yield from digits.batches(shown.train_images, shown.train_labels, size, STEPS)


def points(size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(STEPS):
        labels = torch.randint(0, 3, (size,))
        cloud = torch.rand(size, 3, 256) * 2 - 1
        ball = F.normalize(cloud, dim=1)
        rod = cloud * torch.tensor([0.1, 0.1, 1.0])[:, None]
        yield torch.stack([cloud, ball, rod])[labels, torch.arange(size)], labels


def train(name: str, repositories: Path) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = case.make(repositories).train()
    optimizer = case.optimizer(model.parameters())
    for step, (samples, labels) in enumerate({"pictures": pictures, "points": points}[case.data](case.batch)):
        output = model(samples)
        loss = F.cross_entropy(output[0] if isinstance(output, tuple) else output, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0 or step == STEPS - 1:
            print(f"step {step:2d}  loss {loss.item():.4g}", flush=True)


def audited(name: str, folder: Path, repositories: Path) -> dict[str, Any]:
    """Record one, unless it was, and return what the audit says."""
    file = (folder / f"{name}.h5").resolve()
    bnprobe = [sys.executable, "-m", "bnprobe"]
    if not file.exists():
        if name in SCRIPTS:
            place, target = SCRIPTS[name]
            where = repositories / place
        else:
            where, target = (
                ROOT,
                ["-m", "tests.benchmarks.audits_of_others", "--train", "--repositories", str(repositories.resolve()), name],
            )
        log = folder / f"{name}.txt"
        with log.open("w") as stream:
            subprocess.run(
                [*bnprobe, "record", "-q", "--audit", "-o", str(file), *target], cwd=where, check=True, stdout=stream, stderr=stream
            )
    made = subprocess.run([*bnprobe, "audit", "--json", str(file)], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(made.stdout)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join([*CASES, *SCRIPTS])} (default: all)")
    parser.add_argument("--repositories", type=Path, default=Path(), metavar="FOLDER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the recordings, and use those that are there")
    parser.add_argument("--train", action="store_true", help="train it, and nothing else: what is recorded")
    options = parser.parse_args()
    if options.train:
        train(options.name[0], options.repositories)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.name or [*CASES, *SCRIPTS]:
            print(f"\n{name}", flush=True)
            for row in audited(name, folder, options.repositories)["rows"]:
                print(f"  {row['verdict']:<11} {row['id']:<20} {row['says']}", flush=True)


if __name__ == "__main__":
    main()
