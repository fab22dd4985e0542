"""Read thousands of damaged run files and count what becomes of them.

    python -m tests.benchmarks.fuzz [--files 5000] [--seed 0] [--workers 2]

Every file is a mutation of a good one: flipped bytes, truncations, splices, zeroed and random blocks, and damage aimed at HDF5's own
structures (superblock, object headers, B-trees, heaps, symbol tables) and at our journal. Each is read by ``read_run`` in a worker process.
A clear error, or a reading with the damaged parts left out and noted, is right; anything else raised, a worker that dies, takes more than
its time or more than its memory, is a failure of ours and sets the exit status. What HDF5 itself did to the process that reads is
listed too, and how often damage went unnoticed: numbers carry checksums, but texts and HDF5's own structures do not.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import random
import re
import resource
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bnprobe.errors import RunFileError
from bnprobe.store import journal, quarantine, reader
from tests.store.numbered_runs import NumberedRun

SECONDS_LIMIT = 40.0
#: A reader may use 64 MiB of arrays twice, HDF5's caches and python's own 100 MiB; the worker holds the arrays once more.
MEMORY_LIMIT_BYTES = 700 * 2**20
FILES_PER_WORKER = 250
SIGNATURES = [b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FADB", b"EAHD", b"\x89HDF"]
NASTY = [0, 1, 2, 0x7F, 0xFF, 0x100, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


def originals(folder: Path) -> list[Path]:
    """Good files to be damaged: finished, killed in mid-commit, and copied by a newer library with compression and checksums."""
    finished = folder / "finished.h5"
    run = NumberedRun(finished)
    for burst in range(3):
        run.add_steps(40)
        run.add_snapshot()
        if burst == 1:
            run.add_layer()
        run.writer.add_event(burst, "fault", "something happened")
        run.writer.add_coverage("a layer", "cannot be seen", 2)
        run.writer.burst()
    run.writer.close(status="finished")
    killed = folder / "killed.h5"
    run = NumberedRun(killed)
    run.add_steps(30)
    run.writer.burst()
    run.add_steps(30)
    applying, journal._apply = journal._apply, lambda descriptor, found: None
    run.writer.burst()
    journal._apply = applying
    copied = folder / "copied.h5"
    with h5py.File(finished) as source, h5py.File(copied, "w", libver="latest") as target:
        target.attrs.update(source.attrs)
        for name, dataset in source.items():
            packed = {"compression": "gzip", "shuffle": True} if dataset.dtype.kind != "O" else {}
            target.create_dataset(name, data=dataset[()], chunks=True, fletcher32=bool(packed), **packed)
    return [finished, killed, copied]


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> tuple[str, bytes]:
    """Return the name of a mutation and a mutated copy."""
    kind = rng.choice(["flip", "flip", "truncate", "splice", "zero", "noise", "structure", "structure", "structure", "metadata", "several"])
    if kind == "several":
        for _ in range(rng.randint(2, 12)):
            _, data = mutate(data, others, rng)
        return kind, data
    out = bytearray(data)
    if not out:
        return kind, data
    place = rng.randrange(len(out))
    if kind == "flip":
        for _ in range(rng.choice([1, 2, 8, 64])):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del out[place:]
    elif kind == "splice":
        other = rng.choice(others)
        start = rng.randrange(len(other))
        piece = other[start : start + rng.choice([8, 64, 512, 4096])]
        if rng.random() < 0.5:
            out[place : place + len(piece)] = piece
        else:
            out[place:place] = piece
    elif kind in ("zero", "noise"):
        length = min(rng.choice([4, 16, 256, 4096, 65536]), len(out) - place)
        out[place : place + length] = bytes(length) if kind == "zero" else rng.randbytes(length)
    elif kind == "metadata":
        # Object headers and small structures lie among small numbers: hit bytes where neighbours are mostly zero.
        for _ in range(200):
            place = rng.randrange(len(out))
            if 3 <= sum(byte == 0 for byte in out[place : place + 16]) <= 14:
                break
        _put_number(out, place, rng)
    else:
        signature = rng.choice(SIGNATURES)
        found = [match.start() for match in re.finditer(re.escape(signature), bytes(out))]
        start = rng.choice(found) if found else 0
        for _ in range(rng.randint(1, 4)):
            _put_number(out, start + rng.randrange(4, 160), rng)
    return kind, bytes(out)


def _put_number(out: bytearray, place: int, rng: random.Random) -> None:
    form = rng.choice("BHIQ")
    size = struct.calcsize(form)
    number = rng.choice([*NASTY, rng.randrange(len(out)), rng.randrange(2**16)]) % 2 ** (8 * size)
    if place + size <= len(out):
        out[place : place + size] = struct.pack("<" + form, number)


def judge(path: Path, truths: list[dict[str, Any]]) -> dict[str, Any]:
    """Read one file; return what became of it."""
    seen: dict[str, Any] = {"peak": 0, "death": ""}
    original = reader.read_quarantined

    def watching(name: Path, table: str = "run") -> quarantine.Reply:
        try:
            reply = original(name, table)
        except quarantine.ReaderDied as death:
            seen["death"] = str(death)
            raise
        seen["peak"] = max(seen["peak"], reply.peak_bytes)
        return reply

    reader.read_quarantined = watching
    started = time.monotonic()
    try:
        run = reader.read_run(path)
        if run.problems:
            outcome = "partial reading"
        elif any(_same(run.variables, truth) for truth in truths):
            outcome = "full reading"
        else:
            outcome = "full reading, damage unnoticed"
        for variable in run.variables:  # every array can be used
            assert run[variable].shape == tuple(run._length(d) for d in reader.VARIABLES[variable].dims)
    except RunFileError:
        outcome = "clear error"
    except BaseException as error:
        outcome = f"FAILURE {type(error).__name__}: {error}"[:200]
    finally:
        reader.read_quarantined = original
    seconds = time.monotonic() - started
    peak = max(seen["peak"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    if seconds > SECONDS_LIMIT:
        outcome = "FAILURE hang"
    elif peak > MEMORY_LIMIT_BYTES:
        outcome = f"FAILURE memory {peak >> 20} MiB"
    return {"outcome": outcome, "seconds": seconds, "peak": peak, "death": seen["death"]}


def _same(arrays: dict[str, Any], truth: dict[str, Any]) -> bool:
    return arrays.keys() == truth.keys() and all(
        a.shape == truth[name].shape and np.array_equal(a, truth[name], equal_nan=a.dtype.kind == "f") for name, a in arrays.items()
    )


def _read_many(job: tuple[list[Path], int, int, int, Path]) -> list[dict[str, Any]]:
    sources, seed, first, count, folder = job
    datas = [source.read_bytes() for source in sources]
    truths = [reader.read_run(source).variables for source in sources]
    # Without its journal the killed run is what it was before its last burst, and as sound.
    earlier = folder / f"earlier-{first}.h5"
    earlier.write_bytes(datas[1][: -journal.FOOTER.size])
    truths.append(reader.read_run(earlier).variables)
    results = []
    for number in range(first, first + count):
        rng = random.Random(f"{seed}-{number}")
        source = number % len(sources)
        kind, damaged = mutate(datas[source], datas, rng)
        path = folder / f"mutant-{number}.h5"
        path.write_bytes(damaged)
        result = judge(path, truths)
        results.append({"number": number, "kind": kind, "source": sources[source].stem, **result})
        path.unlink()
    return results


def fuzz(files: int, seed: int = 0, workers: int = 2) -> list[dict[str, Any]]:
    """Read ``files`` mutants in recycled worker processes; a worker that dies or hangs counts as a failure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = originals(folder)
        step = min(FILES_PER_WORKER, -(-files // workers))
        jobs = [(sources, seed, first, min(step, files - first), folder) for first in range(0, files, step)]
        results: list[dict[str, Any]] = []
        with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
            waiting = [pool.apply_async(_read_many, (job,)) for job in jobs]
            for job, answer in zip(jobs, waiting, strict=True):
                try:
                    results += answer.get(timeout=job[3] * 2.0 + 2 * SECONDS_LIMIT)
                except multiprocessing.TimeoutError:
                    results.append({"number": job[2], "kind": "?", "source": "?", "outcome": "FAILURE worker died or hangs",
                                    "seconds": 0.0, "peak": 0, "death": ""})  # fmt: skip
        return results


def table(results: list[dict[str, Any]]) -> str:
    """The figures, for a person."""
    outcomes = collections.Counter(re.sub(r"(FAILURE \w+).*", r"\1", result["outcome"]) for result in results)
    deaths = collections.Counter(result["death"] for result in results if result["death"])
    lines = [f"{count:6d}  {outcome}" for outcome, count in outcomes.most_common()]
    lines += [f"        of the clear errors, the quarantined reader: {death}: {count}" for death, count in deaths.most_common()]
    seconds = np.array([result["seconds"] for result in results])
    lines.append(f"        seconds a file: median {np.median(seconds):.3f}, longest {seconds.max():.2f}")
    lines.append(f"        largest process: {max(result['peak'] for result in results) / 2**20:.0f} MiB")
    return "\n".join(lines)


def failures(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must not be."""
    return [result for result in results if result["outcome"].startswith("FAILURE")]


def main() -> int:
    """Run and print; return 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    started = time.monotonic()
    results = fuzz(arguments.files, arguments.seed, arguments.workers)
    print(f"{len(results)} damaged files, seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    print(table(results))
    for failure in failures(results)[:20]:
        print(failure)
    return 1 if failures(results) else 0


if __name__ == "__main__":
    sys.exit(main())
