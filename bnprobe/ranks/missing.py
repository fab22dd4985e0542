"""Whole numbers as floats, so that what is missing is NaN while ranks are merged, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floats(values: Array) -> Array:
    """Whole numbers as floats, -1 as missing."""
    return values if values.dtype.kind == "f" else np.where(values == -1, np.nan, values.astype(np.float64))


def as_dtype(dtype: str, values: Array) -> Array:
    """Back to the type of the schema, missing as it says."""
    return values.astype(dtype) if dtype.startswith("f") else np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(dtype)
