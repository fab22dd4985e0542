"""Libraries that only one integration needs: imported when it is used, and asked for by name when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from bnprobe.errors import BnprobeError


def required(name: str, install: str = "") -> Any:
    """Import a library.

    Args:
        name: of the module.
        install: what pip has to install, if that is not the module's first name.

    Returns:
        The module.

    Raises:
        BnprobeError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise BnprobeError(f"this needs {package}, which cannot be imported ({error})", f"pip install '{install or package}'") from None
