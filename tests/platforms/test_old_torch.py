"""The proof on the oldest torch tells what failed, or hung, from what is not there or only slow, and leaves the checkout alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.platforms import old_torch

SLEEPS = "import time; time.sleep(600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_what_says_nothing_hangs(tmp_path: Path) -> None:
    with pytest.raises(old_torch.Failed, match="hangs"):
        old_torch.watched(python(SLEEPS), tmp_path, 0.2, time.monotonic() + 600)


def test_what_goes_on_when_the_time_is_up_has_not_failed() -> None:
    with subprocess.Popen(python(SLEEPS)) as process:
        with pytest.raises(old_torch.NotHere, match="the time was up"):
            old_torch._wait(process, lambda: 0, 600.0, time.monotonic() + 0.1)
        process.kill()


def test_what_could_not_be_told_from_a_hang_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(old_torch.NotHere, match="are left"):
        old_torch.watched(python(SLEEPS), tmp_path, 30.0, time.monotonic() + 20)


def test_what_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(old_torch.Failed, match=r"ended with 3\nfor this reason"):
        old_torch.watched(python("import sys; print('for this reason'); sys.exit(3)"), tmp_path, 60.0, time.monotonic() + 600)


@pytest.mark.skipif(sys.platform != "linux", reason="it is made for Linux")
@pytest.mark.parametrize("fails_at", ["ensurepip", "-m venv"])
def test_a_python_that_makes_no_environment_is_none(fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python9.9"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *"{fails_at}"*) echo no ensurepip; exit 1;; *) echo 9.9.1;; esac\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(old_torch, "ROOM", 0)
    monkeypatch.setattr(old_torch, "copy", lambda names, folder: folder.mkdir())
    with pytest.raises(old_torch.NotHere):
        old_torch.environment("9.9", tmp_path / "made", time.monotonic() + 600)


def test_tests_are_copied_without_the_package_and_it_without_what_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    for name in old_torch.SOURCES:
        (checkout / name).parent.mkdir(exist_ok=True)
        if "." in name or name == "LICENSE":
            (checkout / name).write_text("")
        else:
            (checkout / name).mkdir()
    for name in ("fused.c", "_fused.so"):
        (checkout / "bnprobe" / name).write_text("")
    monkeypatch.setattr(old_torch, "ROOT", checkout)
    old_torch.copy(old_torch.SOURCES, tmp_path / "source")
    old_torch.copy(old_torch.TESTS_READ, tmp_path / "proof")
    assert [path.name for path in (tmp_path / "source" / "bnprobe").iterdir()] == ["fused.c"]
    assert (tmp_path / "proof" / "tests").is_dir() and not (tmp_path / "proof" / "bnprobe").exists()
