"""One training remedy a file, applied to a model from Python or to an unedited script by ``bnprobe record --remedy``.

applied = bnprobe.remedies.apply("msr", model)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnprobe.remedies.application import Applied, apply
    from bnprobe.remedies.projections import project_update

_PLACES = {"Applied": "application", "apply": "application", "project_update": "projections"}

__all__ = ["Applied", "apply", "project_update"]


def __getattr__(name: str) -> Any:
    """Import torch only when a remedy is applied: the list of remedies is read without it."""
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(f"bnprobe.remedies.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
