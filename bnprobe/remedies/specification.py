"""The text a remedy is asked for with: ``NAME[:key=value,key,...]``, and of several that act together, joined by ``+``.

    msr                         the defaults
    msr:w=0.99,noise            a value, and a setting that means something on its own
    weight-norm:linear=no       yes and no
    clip-norm:max=2+msr         two

Words are matched exactly; what is unknown is refused with the nearest word that is known.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bnprobe.errors import RemedyError
from bnprobe.remedies.catalogue import ENTRIES, Entry
from bnprobe.remedies.settings import Settings

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@dataclass(frozen=True)
class Specification:
    """One remedy as asked for."""

    entry: Entry
    settings: Settings

    @property
    def text(self) -> str:
        """The shortest text that means the same: only settings other than the defaults.

        >>> parse("clip-norm:max=1.0").text
        'clip-norm'
        """
        changed = [f"{_dashed(key)}={value}" for key, value in self.values().items() if value != shown(_default(self.entry, key))]
        return self.entry.name + (":" + ",".join(changed) if changed else "")

    def values(self) -> dict[str, str]:
        """Every setting as text."""
        return {key: shown(value) for key, value in dataclasses.asdict(self.settings).items()}


def parse(text: str) -> Specification:
    """Read one remedy.

    Args:
        text: as typed after ``--remedy``.

    Returns:
        The remedy's entry in the catalogue and its settings.

    Raises:
        RemedyError: the name, a setting or a value is unknown.

    >>> parse("msr:w=0.99,noise").settings.noise
    0.1
    """
    name, colon, rest = text.strip().partition(":")
    entry = next((entry for entry in ENTRIES if entry.name == name), None)
    if entry is None:
        raise RemedyError(f"no remedy '{name}'", _nearest(name, [entry.name for entry in ENTRIES], "bnprobe remedies lists them all"))
    if colon and not rest:
        raise RemedyError(f"remedy '{text}' ends with a colon: expected settings as key=value", f"--remedy {name}")
    fields = {_dashed(field.name): field for field in dataclasses.fields(entry.settings)}
    chosen: dict[str, Any] = {}
    for part in rest.split(",") if rest else []:
        key, equals, value = (word.strip() for word in part.partition("="))
        key = _dashed(key)
        if key not in fields:
            raise RemedyError(f"remedy {name} has no setting '{key}'", _nearest(key, list(fields), f"it has {', '.join(fields)}"))
        if fields[key].name in chosen:
            raise RemedyError(f"remedy {name}: '{key}' is given twice", "give each setting once")
        chosen[fields[key].name] = _alone(entry, fields[key]) if not equals else _value(entry, fields[key], value)
    return Specification(entry, entry.settings(**chosen))


def split(text: str) -> list[str]:
    """Return the texts of remedies that act together; a name begins with a letter, and so a ``+`` before a digit is part of a number.

    >>> split("msr:w=0.99+clip-norm:max=1e+2+no-norm")
    ['msr:w=0.99', 'clip-norm:max=1e+2', 'no-norm']
    """
    return re.split(r"\+(?=[a-z])", text)


def name_of(text: str) -> str:
    """Return the name of one remedy, without its settings.

    >>> name_of("msr:w=0.99")
    'msr'
    """
    return text.partition(":")[0].strip()


def parse_all(texts: str | Iterable[str]) -> list[Specification]:
    """Read several remedies; they act in the order given.

    Returns:
        One specification each, in the order given.

    Raises:
        RemedyError: one of them is unknown, or one is asked for twice.
    """
    parsed = [parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
    for number, one in enumerate(parsed):
        if any(one.entry is other.entry for other in parsed[:number]):
            raise RemedyError(f"remedy {one.entry.name} is asked for twice", "give all its settings in one: NAME:key=value,key=value")
    return parsed


def as_tried(text: str) -> str:
    """Return the shortest texts of remedies that are tried together, joined; "none" for none.

    >>> as_tried("MSR:w=0.99+clip-norm"), as_tried(" NONE ")
    ('msr:w=0.99+clip-norm', 'none')

    Raises:
        RemedyError: one of them is unknown, or one is asked for twice.
    """
    return "none" if text.strip().lower() == "none" else "+".join(one.text for one in parse_all(split(text.strip())))


def _value(entry: Entry, field: dataclasses.Field[Any], text: str) -> Any:
    default, accepts = field.default, field.metadata
    where = f"remedy {entry.name}: {_dashed(field.name)}={text}"
    if isinstance(default, bool):
        if text.lower() not in _YES + _NO:
            raise RemedyError(f"{where}: expected yes or no")
        return text.lower() in _YES
    if isinstance(default, str):
        if text not in accepts["choices"]:
            raise RemedyError(f"{where}: expected {_or(accepts['choices'])}", _nearest(text, accepts["choices"], ""))
        return text
    if text in accepts["names"]:
        return accepts["names"][text]
    try:
        number = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else _or(("a number", *accepts["names"]))
        raise RemedyError(f"{where}: expected {kind}", _nearest(text, list(accepts["names"]), "")) from None
    low, high = accepts["low"], accepts["high"]
    if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
        limits = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}" if low is not None else "that is finite"
        raise RemedyError(f"{where}: expected a number {limits}")
    return number


def _alone(entry: Entry, field: dataclasses.Field[Any]) -> Any:
    if isinstance(field.default, bool):
        return True
    if field.metadata["alone"] is None:
        key = _dashed(field.name)
        raise RemedyError(f"remedy {entry.name}: '{key}' needs a value", f"such as {key}={shown(field.default)}")
    return field.metadata["alone"]


def _default(entry: Entry, key: str) -> Any:
    return next(field.default for field in dataclasses.fields(entry.settings) if field.name == key)


def _nearest(word: str, known: Sequence[str], otherwise: str) -> str | None:
    """Suggest what was probably meant."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else otherwise or None


def shown(value: Any) -> str:
    """Return a setting's value as it is typed: to type it again gives the same value.

    >>> shown(0.5), shown(2.0**0.5)
    ('0.5', '1.4142135623730951')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
