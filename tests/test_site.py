"""The documentation site builds without a warning: every page is in the navigation, every link and anchor leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the site is built where its tools are: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    for page in ("index", "tutorial", "commands/record", "causes/mean-shift", "python_api", "run_file"):
        assert (tmp_path / f"{page}.html").is_file()
    assert "bnprobe.measure.curvature.sharpness" in (tmp_path / "python_api.html").read_text(encoding="utf-8")
