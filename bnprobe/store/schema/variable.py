"""What is written down of a variable."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = "text"


@dataclass(frozen=True)
class Variable:
    """One array of the run file.

    Attributes:
        name: its HDF5 name.
        dims: names of its axes.
        dtype: numpy type name, or ``TEXT`` for UTF-8 strings.
        units: SI unit, or "1" for a dimensionless quantity, or "as the signal".
        long_name: what it is, in words.
        formula: how it follows from the observed tensors.
        source: where the definition comes from.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    formula: str = ""
    source: str = "bnprobe"

    @property
    def missing(self) -> float | int | str:
        """What stands where nothing was observed."""
        if self.dtype == TEXT:
            return ""
        return float("nan") if self.dtype.startswith("f") else -1
