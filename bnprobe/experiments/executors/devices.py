"""Which accelerators this machine shows, without torch."""

from __future__ import annotations

import os
import subprocess

#: What CUDA reads; trials are told their share by it.
VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices() -> tuple[str, ...]:
    """Return the devices that CUDA programs started here would see, as `CUDA_VISIBLE_DEVICES` names them."""
    told = os.environ.get(VISIBLE)
    if told is not None:
        return tuple(name for name in (part.strip() for part in told.split(",")) if name and name != "-1")
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(listed.stdout.split())
