"""The file of tapes beside a run file: an archive of numpy's with a header in JSON and arrays of bytes.

Nothing in it is code, and numpy reads no pickled object from it. It belongs to one recording, whose run file has the same token.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnprobe.errors import RunFileError
from bnprobe.what_if.kept.arithmetic import arithmetic
from bnprobe.what_if.kept.models import read_built, write_built
from bnprobe.what_if.kept.programs import read_program, write_program
from bnprobe.what_if.kept.tensors import TensorsIn, TensorsOut
from bnprobe.what_if.kept.unkept import Unkept, Unreadable
from bnprobe.what_if.kept.values import ValuesIn, ValuesOut
from bnprobe.what_if.program import Program
from bnprobe.what_if.remedy_edits import Built

FORMAT = "bnprobe-tapes-1"
SUFFIX = ".tapes.npz"


@dataclass
class Tapes:
    """The stretches of one recording.

    Attributes:
        stretches: the first steps, and those before a divergence where they are kept; with when optimizers were built.
        arithmetic: settings of the process that recorded them.
    """

    stretches: list[tuple[Program, list[Built]]]
    arithmetic: dict[str, Any]


def tape_path(run: Path) -> Path:
    """Return where the tapes of a run file are."""
    return run.with_name(run.name.removesuffix(".h5") + SUFFIX)


def write_tapes(path: Path, stretches: list[tuple[Program, list[Built]]], token: str, most_bytes: int) -> int:
    """Write tapes, whole or not at all.

    Args:
        path: the file; it is overwritten.
        stretches: each with when optimizers were built.
        token: what the run file says, too.
        most_bytes: as large as it may become.

    Returns:
        Its size in bytes.

    Raises:
        Unkept: something cannot be written, it would be too large, or the disk refuses it.
    """
    tensors = TensorsOut()
    values = ValuesOut(tensors)
    told = [{"program": write_program(program, values), "built": write_built(built, values)} for program, built in stretches]
    described, pieces, contents = tensors.close()
    header = {
        "format": FORMAT,
        "token": token,
        "arithmetic": arithmetic(),
        "generators": values.generators,
        "tensors": described,
        "pieces": pieces,
        "stretches": told,
    }
    text = np.frombuffer(json.dumps(header, separators=(",", ":")).encode(), dtype=np.uint8)
    size = len(text) + sum(len(content) for content in contents)
    if size > most_bytes:
        raise Unkept(f"they would take {size / 2**20:.0f} MiB, more than the {most_bytes / 2**20:.0f} MiB that --what-if-memory allows")
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with unfinished.open("wb") as opened:
            arrays: dict[str, Any] = {f"piece_{number}": content for number, content in enumerate(contents)}
            np.savez(opened, header=text, **arrays)
        unfinished.replace(path)
        return path.stat().st_size
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise Unkept(f"{os.fspath(path)} cannot be written: {error.strerror}") from None


def read_tapes(path: Path, token: str) -> Tapes:
    """Read the tapes of a recording.

    Args:
        path: the file.
        token: what the run file says.

    Returns:
        The tapes.

    Raises:
        RunFileError: it is no file of tapes, or that of another recording, or of a newer version.
    """
    try:
        return _read(path, token)
    except (Unreadable, OSError, zipfile.BadZipFile, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError) as error:
        message = f"{path} cannot be read as tapes: {error}"
        raise RunFileError(message, "record the training again with --what-if auto --keep-tapes") from None


def _read(path: Path, token: str) -> Tapes:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise Unreadable(f"it is not of the format {FORMAT}")
        if header.get("token") != token:
            raise Unreadable("it belongs to another recording; the run file has been written anew since")
        contents = [archive[f"piece_{number}"] for number in range(len(header["pieces"]))]
    values = ValuesIn(TensorsIn(header["tensors"], header["pieces"], contents), header["generators"])
    stretches = [(read_program(one["program"], values), read_built(one["built"], values)) for one in header["stretches"]]
    if not stretches:
        raise Unreadable("it holds no tape")
    return Tapes(stretches, header["arithmetic"])
