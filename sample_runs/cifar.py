"""CIFAR-10 from a folder on this machine, in either of the formats that its authors publish, or the digits in its shape.

Nothing is fetched. The folder is the one that was unpacked, `cifar-10-batches-py` or `cifar-10-batches-bin`, or the one above it
(A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009). Every file is checked before it is used.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import digits
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, PIXELS, CLASSES = 32, 3 * 32 * 32, 10
PYTHON = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
BINARY = [f"{name}.bin" for name in PYTHON]
WHOLE = 10000  # pictures in each of the six files


class Pictures(NamedTuple):
    """Pictures (N, 3, 32, 32) of mean 0 and deviation 1, and labels; `name` says in plain words what they are."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    name: str
    are_photographs: bool


def load(data: str) -> Pictures:
    """Return CIFAR-10 from the folder `data`, or the digits for `digits`.

    Raises:
        ValueError: the folder holds no CIFAR-10, or a damaged one.
    """
    if data == "digits":
        return upscaled_digits()
    folder, names = find(Path(data))
    read = read_python if names is PYTHON else read_binary
    files = [read(folder / name) for name in names]
    images = torch.from_numpy(np.concatenate([one for one, _ in files])).float().reshape(-1, 3, SIDE, SIDE)
    labels = torch.from_numpy(np.concatenate([one for _, one in files])).long()
    n = len(images) - len(files[-1][0])
    axes = (0, 2, 3)
    images = (images - images[:n].mean(axes, keepdim=True)) / images[:n].std(axes, keepdim=True).clamp_min(1e-6)
    part = "" if len(images) == WHOLE * len(names) else f", a part of its {WHOLE * len(names)}"
    name = f"CIFAR-10 from {folder}: {n} pictures to train on, {len(images) - n} to test{part}"
    return Pictures(images[:n], labels[:n], images[n:], labels[n:], name, are_photographs=True)


def upscaled_digits() -> Pictures:
    """Return the digits that come with these scripts, as 32x32 pictures of three equal colours."""
    (train_images, train_labels), (test_images, test_labels) = digits.load(side=SIDE)
    name = f"NOT CIFAR-10 but the shipped digits, 8x8 drawn larger to 32x32: {len(train_images)} to train on, {len(test_images)} to test"
    coloured = (images.expand(-1, 3, -1, -1).contiguous() for images in (train_images, test_images))
    return Pictures(next(coloured), train_labels, next(coloured), test_labels, name, are_photographs=False)


def find(folder: Path) -> tuple[Path, list[str]]:
    """Return the folder with the files, and their names in its format."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: name the one that CIFAR-10 was unpacked to, or 'digits'")
    for place in (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin"):
        for names in (PYTHON, BINARY):
            missing = [name for name in names if not (place / name).is_file()]
            if not missing:
                return place, names
            if len(missing) < len(names):
                raise ValueError(f"{place} lacks {', '.join(missing)} of CIFAR-10's six files: unpack it again")
    raise ValueError(f"{folder} holds no CIFAR-10: neither {PYTHON[0]} (python version) nor {BINARY[0]} (binary version) is there")


def read_binary(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read records of a byte of label and 3,072 of picture."""
    values = np.fromfile(file, dtype=np.uint8)
    if len(values) % (PIXELS + 1):
        raise ValueError(f"{file} has {len(values)} bytes, no multiple of the {PIXELS + 1} of a picture: cut off, or not CIFAR-10")
    records = values.reshape(-1, PIXELS + 1)
    return checked(file, records[:, 1:], records[:, 0])


def read_python(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a pickle of `data`, (N, 3072) bytes, and `labels`."""
    try:
        with file.open("rb") as stream:
            content = ArraysOnly(stream, encoding="bytes").load()
        images, labels = content[b"data"], np.asarray(content[b"labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"{file} is no batch of CIFAR-10's python version ({type(error).__name__}: {error}): unpack it again") from error
    return checked(file, images, labels)


class ArraysOnly(pickle.Unpickler):
    """A pickle can run any code; one that asks for more than an array is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray") or (module, name) == ("numpy", "dtype"):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no picture needs")


def checked(file: Path, images: Any, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what was read if it is pictures with labels."""
    shape, kind = getattr(images, "shape", None), getattr(images, "dtype", None)
    if shape is None or len(shape) != 2 or shape[1] != PIXELS or kind != np.uint8:
        raise ValueError(f"{file} holds {kind} of shape {shape}, not (N, {PIXELS}) bytes: not CIFAR-10")
    if not len(images) or len(images) != len(labels):
        raise ValueError(f"{file} holds {len(images)} pictures and {len(labels)} labels: unpack it again")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(f"{file} has labels from {labels.min()} to {labels.max()}, not 0 to {CLASSES - 1}: CIFAR-100, or damaged")
    return images, labels


def batches(pictures: Pictures, size: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches; photographs are shifted by up to four pixels and mirrored, as published, digits are not."""
    for images, labels in digits.batches(pictures.train_images, pictures.train_labels, size, steps):
        if pictures.are_photographs:
            padded = F.pad(images, (4, 4, 4, 4))
            down, right = torch.randint(0, 9, (2, len(images))).unbind()
            rows, columns = down[:, None] + torch.arange(SIDE), right[:, None] + torch.arange(SIDE)
            columns = torch.where(torch.rand(len(images), 1) < 0.5, columns, columns.flip(1))
            images = padded[torch.arange(len(images))[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        yield images, labels
