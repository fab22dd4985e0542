"""Objects are known by identity, and not kept alive."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

from bnprobe.identity import IdentityMap, IdentitySet, KeyReference, OwnReference


@dataclass
class Equal:
    """Equal by value, and so without a hash."""

    value: int = 0


def test_equal_objects_are_two() -> None:
    known: IdentityMap[Equal, str] = IdentityMap()
    first, second = Equal(), Equal()
    known[first] = "first"
    assert known.get(first) == "first"
    assert known.get(second) is None
    assert second not in known
    known[second] = "second"
    assert list(known) == [first, second]
    assert [one is other for one, other in zip(known, (first, second), strict=True)] == [True, True]


def test_an_object_that_is_gone_is_forgotten() -> None:
    known: IdentitySet[Equal] = IdentitySet()
    kept, passing = Equal(1), Equal(2)
    known.add(kept)
    known.add(passing)
    known.add(passing)
    assert len(known) == 2
    del passing
    gc.collect()
    assert list(known) == [kept]
    assert len(known._entries) == 1


def test_what_is_known_changes_and_goes() -> None:
    known: IdentityMap[Equal, int] = IdentityMap()
    one = Equal()
    known[one] = 1
    known[one] = 2
    assert known.pop(one) == 2
    assert not known
    assert known.pop(one) is None


def test_the_reference_to_a_key_is_told_from_the_scripts() -> None:
    known: IdentitySet[Equal] = IdentitySet()
    one = Equal()
    known.add(one)
    assert [type(reference) for reference in weakref.getweakrefs(one)] == [OwnReference]


def test_a_key_reference_asks_its_object_for_nothing() -> None:
    class Asked:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("asked whether it is equal")

        def __hash__(self) -> int:
            raise AssertionError("asked for its hash")

    one, other = Asked(), Asked()
    first, second = KeyReference(one), KeyReference(other)
    assert {first: 1, second: 2}[first] == 1
    assert first != second and not first == second and first() is one
