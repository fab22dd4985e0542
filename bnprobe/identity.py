"""What is known of objects, by identity: some have no hash, or are equal to others, and none may live longer for having been seen."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class OwnReference(weakref.ref[Key]):
    """A weak reference that can be told from those of the script: torch refuses to swap tensors that have any."""

    __slots__ = ()


class KeyReference(OwnReference[Key]):
    """A weak reference that is a key by itself, and asks what it refers to for neither its hash nor whether it is equal to another."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class IdentityMap(Generic[Key, Value]):
    """A mapping whose keys are held weakly and compared by identity, in the order in which they came."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Key], Value]] = {}

    def __setitem__(self, key: Key, value: Value) -> None:
        """Know something of an object."""
        number = id(key)
        known = self._entries.get(number)
        entries = weakref.ref(self)

        def forget(reference: weakref.ref[Key]) -> None:
            this = entries()
            # The place may be another object's by now.
            if this is not None and this._entries.get(number, (None,))[0] is reference:
                del this._entries[number]

        reference = known[0] if known is not None and known[0]() is key else OwnReference(key, forget)
        self._entries[number] = (reference, value)

    def get(self, key: Key) -> Value | None:
        """Return what is known of an object; None where it is new."""
        known = self._entries.get(id(key))
        return known[1] if known is not None and known[0]() is key else None

    def pop(self, key: Key) -> Value | None:
        """Forget an object; return what was known of it."""
        value = self.get(key)
        if key in self:
            del self._entries[id(key)]
        return value

    def __contains__(self, key: object) -> bool:
        known = self._entries.get(id(key))
        return known is not None and known[0]() is key

    def __iter__(self) -> Iterator[Key]:
        """Go through the objects that are alive."""
        for reference, _ in list(self._entries.values()):
            key = reference()
            if key is not None:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        for reference, _ in list(self._entries.values()):  # asked at every step, and so without a generator
            if reference() is not None:
                return True
        return False


class IdentitySet(IdentityMap[Key, bool]):
    """A set of objects that are held weakly and compared by identity."""

    def add(self, key: Key) -> None:
        """Add an object."""
        if key not in self:
            self[key] = True
