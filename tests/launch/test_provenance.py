from __future__ import annotations

import json
import platform
import shlex
from datetime import datetime, timezone

from bnprobe.launch.provenance import collect_provenance
from bnprobe.launch.target import Target


def test_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["bnprobe", "record", "train.py", "--name", "a b"]
    kept = collect_provenance(Target("train.py", False, ("--name", "a b")), command)

    assert set(kept) == {"command", "script", "argv", "cwd", "python", "created"}
    assert shlex.split(kept["command"]) == command
    assert json.loads(kept["argv"]) == ["train.py", "--name", "a b"]
    assert (kept["script"], kept["cwd"]) == ("train.py", str(tmp_path))
    age = datetime.now(timezone.utc) - datetime.fromisoformat(kept["created"])
    assert 0 <= age.total_seconds() < 60
    assert kept["python"] == platform.python_version()


def test_the_machine_is_not_named():
    kept = collect_provenance(Target("train.py", False), ["bnprobe"])
    assert not platform.node() or platform.node() not in " ".join(kept.values())


def test_module():
    assert collect_provenance(Target("package.train", True), ["bnprobe"])["script"] == "-m package.train"
