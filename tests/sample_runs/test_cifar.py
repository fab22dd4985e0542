"""CIFAR-10 from a folder: both formats, tiny and made up, whole and damaged."""

from __future__ import annotations

import importlib
import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "sample_runs"
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
PICTURES = 8


@pytest.fixture
def load_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a module of the scripts by its bare name, as they do."""
    names = ("digits", "cifar", "cifar_network")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def cifar(load_module: Any) -> ModuleType:
    return load_module("cifar")  # type: ignore[no-any-return]


class Python2(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Write bytes and arrays as Python 2 did, in which the published files were made."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_bytes(self, text: bytes) -> None:
        self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)

    dispatch[bytes] = save_bytes


def pickled(content: dict[bytes, Any]) -> bytes:
    stream = io.BytesIO()
    Python2(stream, protocol=2).dump(content)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def made_up() -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return [(random.integers(0, 256, (PICTURES, 3072), dtype=np.uint8), random.integers(0, 10, PICTURES)) for _ in NAMES]


def write(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in zip(NAMES, made_up(), strict=True):
        if version == "binary":
            (folder / f"{name}.bin").write_bytes(np.hstack([labels[:, None].astype(np.uint8), images]).tobytes())
        else:
            (folder / name).write_bytes(pickled({b"data": images, b"labels": [int(one) for one in labels], b"batch_label": b"x"}))
    return folder


@pytest.mark.parametrize("version", ["binary", "python"])
def test_both_formats_give_the_pictures(cifar: ModuleType, tmp_path: Path, version: str) -> None:
    found = cifar.load(str(write(tmp_path, version)))
    files = made_up()
    images = np.concatenate([one for one, _ in files]).reshape(-1, 3, 32, 32).astype(np.float64)
    train = images[: 5 * PICTURES]
    expected = (images - train.mean((0, 2, 3), keepdims=True)) / train.std((0, 2, 3), keepdims=True, ddof=1)
    assert np.allclose(torch.cat([found.train_images, found.test_images]), expected, atol=1e-4)
    assert torch.cat([found.train_labels, found.test_labels]).tolist() == np.concatenate([one for _, one in files]).tolist()
    assert found.name == f"CIFAR-10 from {tmp_path}: 40 pictures to train on, 8 to test, a part of its 60000"


@pytest.mark.parametrize(("version", "name"), [("binary", "cifar-10-batches-bin"), ("python", "cifar-10-batches-py")])
def test_the_folder_above_does_as_well(cifar: ModuleType, tmp_path: Path, version: str, name: str) -> None:
    write(tmp_path / name, version)
    assert len(cifar.load(str(tmp_path)).train_labels) == 5 * PICTURES


def test_digits_are_said_to_be_no_cifar(cifar: ModuleType) -> None:
    found = cifar.load("digits")
    assert found.name.startswith("NOT CIFAR-10 but the shipped digits")
    assert found.train_images.shape == (1500, 3, 32, 32) and found.test_images.shape == (297, 3, 32, 32)
    assert (found.train_images[:, 0] == found.train_images[:, 2]).all()


def other(content: dict[bytes, Any]) -> Any:
    return lambda folder: (folder / "data_batch_3").write_bytes(pickled(content))


class Runs:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


PICTURE = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("version", "damage", "says"),
    [
        ("binary", lambda folder: (folder / "test_batch.bin").unlink(), "lacks test_batch.bin of CIFAR-10's six files"),
        ("binary", lambda folder: (folder / "data_batch_2.bin").write_bytes(bytes(3073 + 100)), "has 3173 bytes, no multiple of the 3073"),
        ("binary", lambda folder: (folder / "data_batch_2.bin").write_bytes(b""), "holds 0 pictures and 0 labels"),
        ("binary", lambda folder: (folder / "data_batch_2.bin").write_bytes(b"\x0a" * 3073), "labels from 10 to 10, not 0 to 9"),
        ("python", lambda folder: (folder / "data_batch_2").unlink(), "lacks data_batch_2"),
        ("python", lambda folder: (folder / "data_batch_2").write_bytes(b""), "EOFError"),
        (
            "python",
            lambda folder: (folder / "data_batch_2").write_bytes((folder / "data_batch_2").read_bytes()[:5000]),
            "is no batch of CIFAR-10's python version",
        ),
        ("python", other({b"data": PICTURE, b"fine_labels": [1, 2]}), "KeyError"),
        ("python", other({b"data": PICTURE, b"labels": [1]}), "holds 2 pictures and 1 labels"),
        ("python", other({b"data": PICTURE, b"labels": [1, 40]}), "labels from 1 to 40"),
        ("python", other({b"data": PICTURE, b"labels": [1, 0.5]}), "labels from 0.5 to 1.0"),
        ("python", other({b"data": PICTURE[:, :100], b"labels": [1, 2]}), r"uint8 of shape \(2, 100\), not \(N, 3072\) bytes"),
        ("python", other({b"data": PICTURE.astype(np.float32), b"labels": [1, 2]}), "holds float32"),
        ("python", other({b"data": [1, 2], b"labels": [1, 2]}), "holds None"),
        ("python", other({b"data": Runs(), b"labels": [1, 2]}), "asks for .*print, which no picture needs"),
    ],
)
def test_what_is_damaged_is_refused(
    cifar: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str, damage: Any, says: str
) -> None:
    damage(write(tmp_path, version))
    with pytest.raises(ValueError, match=says):
        cifar.load(str(tmp_path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "says"), [("", "holds no CIFAR-10"), ("absent", "is no folder")])
def test_a_folder_without_it_is_refused(cifar: ModuleType, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cifar.load(str(tmp_path / name))


def test_photographs_are_shifted_and_mirrored(cifar: ModuleType, tmp_path: Path) -> None:
    """Each picture of a batch is a window of its padded self, in one of two directions."""
    torch.manual_seed(0)
    pictures = cifar.load(str(write(tmp_path, "binary")))
    (images, labels), *_ = cifar.batches(pictures, 40, 1)
    assert images.shape == (40, 3, 32, 32)
    mirrored = 0
    for image, label in zip(images, labels, strict=True):
        own = pictures.train_images[pictures.train_labels == label]
        padded = torch.nn.functional.pad(own, (4, 4, 4, 4))
        found = {
            flipped
            for flipped, shown in ((False, image), (True, image.flip(2)))
            for down in range(9)
            for right in range(9)
            if (padded[:, :, down : down + 32, right : right + 32] == shown).all((1, 2, 3)).any()
        }
        assert len(found) == 1
        mirrored += found.pop()
    assert 5 < mirrored < 35


@pytest.mark.parametrize("kind", ["batch", "none", "msr"])
def test_depth_counts_layers_with_weights(load_module: Any, kind: str) -> None:
    network = load_module("cifar_network")
    model = network.CifarResNet(20, kind)
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 20
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert norms == (19 if kind == "batch" else 0)
    assert model.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_mean_shift_rejection_is_as_published(load_module: Any) -> None:
    network = load_module("cifar_network")
    model = network.CifarResNet(8, "msr")
    kernels = list(network.scaled(model))
    assert len(kernels) == 7
    for kernel in kernels:
        assert kernel.weight.mean((2, 3)).abs().max().item() < 1e-6
        assert torch.allclose(kernel.weight.flatten(1).norm(dim=1), torch.ones(len(kernel.weight)))
    assert [kernel.scale[0].item() for kernel in kernels] == pytest.approx([1.0] + 6 * [0.8])
    assert [kernel.bias is not None for kernel in kernels] == [True] + 6 * [False]
    assert network.magnitude_penalty(model).item() == pytest.approx(0.0, abs=1e-9)
    with torch.no_grad():
        kernels[0].weight *= 3.0
    assert network.magnitude_penalty(model).item() == pytest.approx(5e-4 * 16 * 4.0, rel=1e-4)


def test_gradients_lose_most_of_their_mean(load_module: Any) -> None:
    network = load_module("cifar_network")
    model = network.CifarResNet(8, "msr")
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    first, *others = network.scaled(model)
    means = [kernel.weight.grad.mean((2, 3)) for kernel in (first, *others)]
    network.reject_mean_shift(model)
    left = [kernel.weight.grad.mean((2, 3)) for kernel in (first, *others)]
    assert torch.equal(left[0], means[0])
    for before, after in zip(means[1:], left[1:], strict=True):
        assert torch.allclose(after, 0.05 * before, atol=1e-4 * float(before.abs().max()))


def test_noise_is_for_training_alone(load_module: Any) -> None:
    noise, x = load_module("cifar_network").Noise(), torch.ones(4, 3, 2, 2)
    y = noise(x)
    assert y.min() >= 0.9 and y.max() <= 1.1 and len(y.unique()) == 12
    assert torch.equal(noise.eval()(x), x)


@pytest.mark.slow
def test_the_script_says_what_it_trained_on(tmp_path: Path) -> None:
    folder = write(tmp_path, "python")
    command = [sys.executable, str(FOLDER / "cifar_resnet.py"), "--depth", "8", "--steps", "2", "--batch-size", "8", "--data"]
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"data: CIFAR-10 from {folder}: 40 pictures")
    (folder / "data_batch_1").write_bytes(b"?")
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "data_batch_1 is no batch" in result.stderr and "Traceback" not in result.stderr
