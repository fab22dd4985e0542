"""Builds bnprobe's compiled parts while it is installed, if there is a C compiler; without them bnprobe works, only slower."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OPTIONS = ("-O3", "-fno-math-errno", "-fPIC", "-shared")


class CompiledPartsHook(BuildHookInterface):
    """Compiles four C files before the wheel is put together.

    ``measure/fused.c`` knows nothing of Python: no header, no ABI, one build for all versions. ``measure/tensors.c``,
    ``observe/signals/known_calls.c`` and ``observe/recording/passing.c`` need Python's header and are named after the version they are
    built for. So a wheel with them is for one version of Python on one platform, and one without, as ``BNPROBE_PURE=1`` makes it, is
    for all.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together."""
        if os.environ.get("BNPROBE_PURE") == "1":
            return
        package = Path(self.root, "bnprobe")
        suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
        header = ["-I", sysconfig.get_paths()["include"]]
        # On macOS an extension's symbols of Python are found when it is loaded.
        late = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
        parts = [
            (package / "measure" / "fused.c", "_fused.so", [], "moments; torch does their work"),
            (package / "measure" / "tensors.c", f"_tensors{suffix}", [*header, *late], "walk over tensors; Python will do its work"),
            (
                package / "observe" / "signals" / "known_calls.c",
                f"_known_calls{suffix}",
                [*header, *late],
                "hooks; Python will do their work",
            ),
            (
                package / "observe" / "recording" / "passing.c",
                f"_passing{suffix}",
                [*header, *late],
                "notes of steps that pass by; Python will do their work",
            ),
        ]
        for source, name, options, loss in parts:
            library = source.with_name(name)
            if self._compile(source, library, options, loss):
                build_data["pure_python"] = False
                # Another version would find no known_calls in it: pip must not keep it for that.
                build_data["infer_tag"] = True
                build_data["artifacts"].append(str(library.relative_to(self.root)))

    def _compile(self, source: Path, library: Path, options: list[str], loss: str) -> bool:
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[:1]
        fresh = library.with_suffix(".new")  # an old one may be in use
        try:
            subprocess.run([*compiler, *OPTIONS, *options, "-o", str(fresh), str(source)], check=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            fresh.unlink(missing_ok=True)
            library.unlink(missing_ok=True)
            print(f"bnprobe: no compiled {loss} ({error})", file=sys.stderr)
            return False
        fresh.replace(library)
        return True
