"""Builds bnprobe/measure/_fused.so while bnprobe is installed, if there is a C compiler; without one bnprobe works, only slower."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FusedMomentsHook(BuildHookInterface):
    """Compiles one C file that knows nothing of Python: no header, no ABI, one build for all versions."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together."""
        source = Path(self.root, "bnprobe", "measure", "fused.c")
        library = source.with_name("_fused.so")
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[:1]
        try:
            subprocess.run([*compiler, "-O3", "-fPIC", "-shared", "-o", str(library), str(source)], check=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            library.unlink(missing_ok=True)
            print(f"bnprobe: no compiled moments ({error}); torch will do their work", file=sys.stderr)
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["artifacts"].append("bnprobe/measure/_fused.so")
