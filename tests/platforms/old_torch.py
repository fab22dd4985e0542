"""Proves the oldest torch on the oldest and the newest Python that are here: ``old_torch.py --seconds 240 3.10 3.13``.

For each Python it makes an environment, installs a copy of bnprobe there beside the oldest torch that ``pyproject.toml`` admits, runs
``smoke.py`` and a short part of the tests. Where an environment cannot be had, or the seconds are spent, it says "not run: REASON" in one
line; it fails where what ran failed, or hung: said nothing for so long that a slow machine, by what it takes to import torch, is no reason.

The one wheel of that torch for Linux is built for CUDA: it links to some 2 GB of libraries that a training on the CPU never calls. Its
references are bound when they are first called, so that empty libraries of the same names, whose functions say that there is no device,
are enough to import it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
TORCH = "2.6.0"
#: What its trainings need; of what else its wheel asks for nothing is imported.
TORCH_NEEDS = ("typing_extensions", "filelock", "sympy", "networkx", "jinja2", "fsspec")
BNPROBE_NEEDS = ("typer", "numpy", "h5py", "plotly", "jinja2")
TESTS_NEED = ("pytest", "pytest-timeout", "hypothesis")
BUILD_NEEDS = ("hatchling",)
TESTS = (
    *(f"tests/observe/{folder}" for folder in ("attaching", "recording", "signals", "steps")),
    *(f"tests/store/{file}.py" for file in ("test_journal", "test_reader")),
)
#: Bytes that one environment takes, with what is in between.
ROOM = 5 * 2**30
#: What bnprobe is built from, and what its tests need beside it.
SOURCES = ("bnprobe", "sample_runs", "tests", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
TESTS_READ = ("tests", "sample_runs", "pyproject.toml")
#: Seconds without which an environment is not begun.
FEWEST_SECONDS = 90
#: What hangs has said nothing for so many seconds, or for so many times as long as torch takes to be imported, whichever is longer.
PATIENCE, PATIENCE_IN_IMPORTS = 40.0, 10.0
#: Seconds after which a test that has hung is ended from without, if the clock within did not do it.
GRACE = 10.0
#: What the driver answers where there is no device: cudaErrorNoDevice.
NO_DEVICE = 100


class NotHere(Exception):
    """The environment cannot be had, or not in time; says why."""


class Failed(Exception):
    """What ran failed, or hung; says how."""


@dataclass(frozen=True)
class Environment:
    """Where bnprobe is to be installed and proved.

    Attributes:
        python: its interpreter.
        source: a copy of what bnprobe is built from: what is compiled for this Python replaces nothing in the checkout.
        tests: a folder with the tests and without the package, so that they import what is installed.
        patience: seconds in which whatever does not hang says something.
    """

    python: Path
    source: Path
    tests: Path
    patience: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600, help="that all of it may take")
    parser.add_argument("versions", nargs="+", metavar="PYTHON")
    arguments = parser.parse_args()
    end, failed = time.monotonic() + arguments.seconds, False
    with tempfile.TemporaryDirectory(prefix="bnprobe-old-torch-", ignore_cleanup_errors=True) as folder, ThreadPoolExecutor(1) as maker:
        # The next environment is downloaded while the tests of one run.
        made = {version: maker.submit(environment, version, Path(folder, version), end) for version in arguments.versions}
        for version, environment_made in made.items():
            said, passed = proved(environment_made, end)
            print(f"torch {TORCH} on Python {version}: {said}", flush=True)
            failed |= not passed
    sys.exit(failed)


def proved(made: Future[Environment], end: float) -> tuple[str, bool]:
    """Prove one Python; return what is to be said of it, and whether nothing failed."""
    try:
        ready = made.result()
        began = time.monotonic()
        prove(ready, end)
    except NotHere as error:
        return f"not run: {error}", True
    except Failed as error:
        return f"FAILED: {error}", False
    return f"passed in {time.monotonic() - began:.0f} s", True


def prove(ready: Environment, end: float) -> None:
    """Install bnprobe and run what is to pass there."""
    python, patience = ready.python, ready.patience
    watched([python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", ready.source], ready.tests, patience, end)
    watched([python, "-c", IS_INSTALLED], ready.tests, patience, end)
    watched([python, ready.tests / "tests" / "platforms" / "smoke.py"], ready.tests, patience, end)
    # A test that hangs is named, with where it does, by the clock within.
    options = ["-v", "-p", "no:cacheprovider", "-o", f"timeout={patience:.0f}"]
    watched([python, "-m", "pytest", *options, *TESTS], ready.tests, patience + GRACE, end)


#: Fails where the tests would not import what is installed.
IS_INSTALLED = "import bnprobe, sysconfig; assert bnprobe.__file__.startswith(sysconfig.get_paths()['platlib']), bnprobe.__file__"


def watched(command: Sequence[str | Path], folder: Path, patience: float, end: float) -> None:
    """Run a command in a folder.

    Raises:
        Failed: it failed, or said nothing for so many seconds.
        NotHere: the time was up before it had ended.
    """
    name = " ".join(str(part) for part in command[1:4])
    if (left := end - time.monotonic()) < patience:
        raise NotHere(f"{max(0, left):.0f} s are left for {name} ..., which hangs only after {patience:.0f}")
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_surroundings(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, lambda: os.fstat(output.fileno()).st_size, patience, end)
        except NotHere as error:
            raise NotHere(f"not to its end: {error} in {name} ...") from None
        except Failed as error:
            raise Failed(f"{name} ... {error}\n{_last(output)}") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            raise Failed(f"{name} ... ended with {process.returncode}\n{_last(output)}")


def _wait(process: subprocess.Popen[bytes], said: Callable[[], int], patience: float, end: float) -> None:
    size, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        now = time.monotonic()
        if said() != size:
            size, since = said(), now
        if now - since > patience:
            raise Failed(f"hangs: it has said nothing for {patience:.0f} s")
        if now > end:
            raise NotHere("the time was up")


def _last(output: IO[str]) -> str:
    output.seek(0)
    return output.read()[-20_000:]


def environment(version: str, folder: Path, end: float) -> Environment:
    """Make an environment without bnprobe. Whatever goes wrong here is none of its failures."""
    try:
        return _environment(version, folder, end)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"the time was up in {' '.join(str(part) for part in error.cmd[:4])} ...") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or error.stdout.strip() or "it said nothing").splitlines()[-1]
        raise NotHere(f"{' '.join(str(part) for part in error.cmd[:4])} ... ended with {error.returncode}: {said}") from None
    except OSError as error:
        raise NotHere(str(error)) from None


def _environment(version: str, folder: Path, end: float) -> Environment:
    if (left := end - time.monotonic()) < FEWEST_SECONDS:
        raise NotHere(f"{max(0, left):.0f} s are left, and {FEWEST_SECONDS} are needed to begin")
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise NotHere("it is made for Linux on x86-64")
    if missing := [name for name in ("gcc", "readelf") if shutil.which(name) is None]:
        raise NotHere(f"no {' and no '.join(missing)}")
    folder.mkdir(parents=True)
    if shutil.disk_usage(folder).free < ROOM:
        raise NotHere(f"less than {ROOM / 2**30:.0f} GiB free in {folder.parent}")
    began = time.monotonic()
    copy(SOURCES, folder / "source")
    copy(TESTS_READ, folder / "proof")
    tool(end, interpreter(version, end), "-m", "venv", folder / "env")
    python = folder / "env" / "bin" / "python"
    install(python, end, "--no-deps", f"torch=={TORCH}")
    install(python, end, *TORCH_NEEDS, *BNPROBE_NEEDS, *TESTS_NEED, *BUILD_NEEDS)
    for lib in (folder / "env" / "lib").glob("python*/site-packages/torch/lib"):
        provide_cuda_names(lib, folder, end)
    for _ in range(2):  # the first time it is compiled, too
        importing = time.monotonic()
        found = tool(end, python, "-c", "import torch; print(torch.__version__)")
    if not found.startswith(TORCH):
        raise NotHere(f"what was installed is torch {found.strip()}")
    print(f"torch {TORCH} on Python {version}: installed in {time.monotonic() - began:.0f} s", flush=True)
    patience = max(PATIENCE, PATIENCE_IN_IMPORTS * (time.monotonic() - importing))
    return Environment(python, folder / "source", folder / "proof", patience)


def copy(names: Sequence[str], folder: Path) -> None:
    """Copy parts of the checkout, without what was compiled in it."""
    folder.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "*.new", "__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)


def tool(end: float, *command: str | Path) -> str:
    """Run what is to pass within the time; return what it printed."""
    left = max(1.0, end - time.monotonic())
    return subprocess.run(command, env=_surroundings(), cwd="/", capture_output=True, text=True, timeout=left, check=True).stdout


def _surroundings() -> dict[str, str]:
    """Return the environment variables without those that lead a Python to packages of another."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def interpreter(version: str, end: float) -> str:
    """Return a Python of a version: on the path, or one of those that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob(f"{version}.*/bin/python")
    for candidate in (shutil.which(f"python{version}"), *map(str, sorted(kept))):
        # Debian's Python has a venv that can make no environment where it is without ensurepip.
        with contextlib.suppress(subprocess.CalledProcessError, OSError):
            if candidate and tool(end, candidate, "-c", "import ensurepip, sys, venv; print(sys.version)").startswith(f"{version}."):
                return candidate
    raise NotHere("no such Python here, or none that makes environments")


def install(python: Path, end: float, *what: str) -> None:
    """Install wheels."""
    try:
        tool(end, python, "-m", "pip", "install", "-q", "--no-compile", "--only-binary=:all:", *what)
    except subprocess.TimeoutExpired:
        raise NotHere(f"the time was up while {what[-1]} was installed") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.splitlines()
        raise NotHere(f"pip: {([line for line in said if line.startswith('ERROR')] or said or ['it said nothing'])[-1]}") from None


def provide_cuda_names(lib: Path, folder: Path, end: float) -> None:
    """Put an empty library beside torch's for each of CUDA's that they link to."""
    needed: set[str] = set()
    versioned: dict[str, set[str]] = defaultdict(set)
    plain: set[str] = set()
    for file in lib.glob("*.so"):
        table = tool(end, "readelf", "-d", "--dyn-syms", "-W", file)
        needed |= {name for name in re.findall(r"Shared library: \[(lib(?:cu|nv|nccl)[^\]]*)\]", table) if not (lib / name).exists()}
        for name, library in re.findall(r" UND (\w+)@(\S+)", table):
            versioned[library].add(name)
        plain |= set(re.findall(r" UND ((?:cu|nccl|nvtx)\w+)$", table, re.MULTILINE))
    for number, library in enumerate(sorted(needed)):
        source, versions = folder / "names.c", folder / "names.map"
        names = versioned.get(library, set())
        source.write_text("".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in sorted(names | (set() if number else plain))))
        versions.write_text(f"{library} {{ global: {' '.join(f'{name};' for name in sorted(names))} }};\n")
        options = [f"-Wl,--version-script={versions}"] if names else []
        command = ["gcc", "-shared", "-fPIC", "-w", "-fno-builtin", "-nostdlib", *options, f"-Wl,-soname,{library}"]
        tool(end, *command, "-o", lib / library, source)


if __name__ == "__main__":
    main()
