"""Libraries that only one integration needs: imported when it is used, and asked for by name when they are missing."""

from __future__ import annotations

import importlib
import importlib.util
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
        raise BnprobeError(*_missing(name, install, str(error))) from None


def expect(name: str, install: str = "") -> None:
    """See that a library is installed, and leave it alone.

    Args:
        name: of a module with no dot in it.
        install: what pip has to install, if that is not the module's name.

    Raises:
        BnprobeError: it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # a folder of that name, as trackers leave theirs, is no library
        raise BnprobeError(*_missing(name, install, f"there is no module named {name!r}"))


def _missing(name: str, install: str, why: str) -> tuple[str, str]:
    package = name.partition(".")[0]
    return f"this needs {package}, which cannot be imported ({why})", f"pip install '{install or package}'"
