"""One training remedy a file, applied to a model from Python or to an unedited script by ``bnprobe record --remedy``.

applied = bnprobe.remedies.apply("msr", model)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnprobe.remedies.application import Applied, apply

__all__ = ["Applied", "apply"]


def __getattr__(name: str) -> Any:
    """Import torch only when a remedy is applied: the list of remedies is read without it."""
    if name in __all__:
        from bnprobe.remedies import application

        return getattr(application, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
