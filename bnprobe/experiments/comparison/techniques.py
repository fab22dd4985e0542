"""What can be compared: remedies, alone or joined, layer norm, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

from bnprobe.experiments.order import Change
from bnprobe.remedies.specification import parse_all, split
from bnprobe.store.comparison_file import NO_TECHNIQUE

#: Normalisation that is made as an intervention is.
INTERVENTIONS = ("layer-norm",)
#: Those that Gaur et al. 2020 (arXiv 2008.07970) ask about, and what this tool adds.
USUAL = (NO_TECHNIQUE, "batch-norm", "weight-norm", "clip-norm", "dropout", "msr", "msr:noise", "layer-norm")
#: The word that stands for all of them.
USUAL_WORD = "usual"


def parse_techniques(texts: Sequence[str]) -> tuple[str, ...]:
    """Read techniques as they are typed.

    Args:
        texts: each NONE, ``usual``, or names with settings joined by '+'.

    Returns:
        The techniques, none first and each once.

    Raises:
        RemedyError: one of them is unknown.

    >>> parse_techniques(["msr:noise", "none", "layer-norm+clip-norm:max=1"])
    ('NONE', 'msr:noise=0.1', 'layer-norm+clip-norm')
    """
    expanded = [one for text in texts for one in (USUAL if text.strip().lower() == USUAL_WORD else (text.strip(),))]
    found = dict.fromkeys([NO_TECHNIQUE, *(_canonical(text) for text in expanded)])  # all others are compared with none
    return tuple(found)


def _canonical(text: str) -> str:
    if text.upper() == NO_TECHNIQUE:
        return NO_TECHNIQUE
    parts = split(text)
    remedies = iter(parse_all([part for part in parts if not _is_intervention(part)]))
    return "+".join(part if _is_intervention(part) else next(remedies).text for part in parts)


def _is_intervention(name: str) -> bool:
    """Whether the intervention is meant: the remedy of its name, which settings ask for, refuses a network that normalises already."""
    return name in INTERVENTIONS


def change_of(technique: str, factor: float, seed: int) -> Change:
    """Return what a trial of a technique changes."""
    parts = [] if technique == NO_TECHNIQUE else split(technique)
    remedies = tuple(part for part in parts if not _is_intervention(part))
    return Change(remedies, tuple(part for part in parts if _is_intervention(part)), factor, seed)
