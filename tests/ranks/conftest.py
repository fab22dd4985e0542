from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True)
class Launched:
    status: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("run*.h5"))


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Launched]:
    """Type a command as a user does: torchrun where ranks are asked for, one process otherwise; recorded unless options are None."""

    def run(
        script: str,
        *arguments: str,
        ranks: int = 1,
        options: tuple[str, ...] | None = (),
        output: str | None = "run.h5",
        folder: str = "recorded",
    ) -> Launched:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
        to = ["-o", output] if output is not None else []
        recorder = ["-m", "bnprobe", "record", *to, "--budget", "1e9", *options] if options is not None else []
        kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
        command = [sys.executable, *launcher, *recorder, str(SCRIPTS / script), *arguments]
        there = {file: file.read_bytes() for file in place.iterdir() if file.is_file()}
        for _ in range(4):  # gloo's threads abort at the very end now and then, without any recorder
            done = subprocess.run(
                command,
                cwd=place,
                env=kept | {"OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            if "terminate called without an active exception" not in done.stderr:
                break
            for file in place.iterdir():
                if file.is_file():
                    file.unlink()
            for file, held in there.items():
                file.write_bytes(held)
        return Launched(done.returncode, done.stdout, done.stderr, place)

    return run
