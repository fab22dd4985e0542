"""The thresholds of the C library are moved while a stretch is trained again, but not where the user has set them."""

from __future__ import annotations

from typing import Any

import pytest

from bnprobe.what_if import kept_memory

MMAP, TRIM = -3, -1


class Library:
    def __init__(self) -> None:
        self.thresholds: dict[int, int] = {}

    def mallopt(self, name: int, value: int) -> None:
        self.thresholds[name] = value

    def malloc_trim(self, pad: int) -> None:
        pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    loaded: Any = lambda name: made  # noqa: E731
    monkeypatch.setattr(kept_memory.ctypes, "CDLL", loaded)
    monkeypatch.setattr(kept_memory.platform, "libc_ver", lambda: ("glibc", "2.36"))
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_what_is_freed_is_kept_meanwhile(library: Library) -> None:
    with kept_memory.freed_memory_kept():
        assert library.thresholds == {MMAP: 2**25, TRIM: 2**30}
    assert library.thresholds == {MMAP: 2**25, TRIM: 2**26}


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=65536")],
)
def test_what_the_user_has_set_stays(name: str, value: str, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with kept_memory.freed_memory_kept():
        pass
    assert not library.thresholds
