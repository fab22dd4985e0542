"""A remedy on a network as ``--remedy`` puts it there: it applies and its property holds, or it refuses in a sentence."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bnprobe.errors import RemedyError
from bnprobe.observe.remedies.injector import RemedyInjector
from tests.remedies.properties import PROPERTIES, TRANSPOSED, modules_of, scale_changes
from tests.remedies.trainings import TRAININGS, Training, tensor_of

STEPS = 3


@dataclass(frozen=True)
class Cell:
    """How a remedy and a network get on.

    Attributes:
        verdict: "holds", "refuses" or "wrong".
        text: what it acts on, its sentence, or what is wrong.
    """

    verdict: str
    text: str


def judge(remedy: str, network: str) -> Cell:
    """Train a network with a remedy and measure what it promises, after the optimizer is built and after each step."""
    gc.collect()  # what was trained before is no copy of what is trained now
    torch.manual_seed(0)
    training = TRAININGS[network]()
    passed_over: list[str] = []
    injector = RemedyInjector([remedy], on_passed_over=passed_over.append)
    norms = [name for name, change in scale_changes(training).items() if change < 0.02] if remedy == "no-norm" else []
    problems = partial(_problems, remedy, training, injector, norms, passed_over)
    injector.attach()
    try:
        training.build()
        wrong = _averages_that_differ(training) + problems("start")
        for _ in range(STEPS):
            for model in training.models:
                model.train()
            training.step()
            wrong += problems("stepped")
        if not all(p.isfinite().all() for model in training.models for p in model.parameters()):
            wrong.append("weights that are not finite")
    except RemedyError as refusal:
        text = str(refusal)
        said = text.startswith("remedy") and "\n" not in text and refusal.hint
        return Cell("refuses" if said else "wrong", f"{text}; {refusal.hint}")
    except Exception as error:
        return Cell("wrong", f"{type(error).__name__}: {error}")
    finally:
        injector.detach()
    if wrong:
        return Cell("wrong", "; ".join(dict.fromkeys(wrong)))
    acted = "; ".join(f"{one['count']} {one['what']}" + _left(one) for one in injector.record())
    return Cell("holds", acted)


def _left(entry: dict[str, Any]) -> str:
    return "".join(f", {len(names)} {why.partition(',')[0]}" for why, names in entry.get("left", {}).items())


def _problems(
    remedy: str, training: Training, injector: RemedyInjector, norms: list[str], passed_over: list[str], moment: str
) -> list[str]:
    left = {name for one in injector.record() for names in one.get("left", {}).values() for name in names}
    if passed_over:  # it was said that what an optimizer trains is left as it is
        left |= {name for name, one in modules_of(training) if isinstance(one, TRANSPOSED)}
    found = PROPERTIES[remedy.partition(":")[0]](training, moment)
    if remedy == "no-norm":  # of what normalised before
        found = (one for one in found if one.partition(":")[0] in norms)
    return [one for one in found if one.partition(":")[0] not in left]


def _averages_that_differ(training: Training) -> list[str]:
    """A copy made before the optimizer has to be what the model is, as it was."""
    wrong = []
    for twin in training.copies:
        given = training.inputs()
        mine, other = training.model.eval(), twin.eval()
        with torch.no_grad():
            outputs = [tensor_of(one(**given) if isinstance(given, dict) else one(given)) for one in (mine, other)]
        if list(mine.state_dict()) != list(other.state_dict()) or not torch.allclose(*outputs):
            wrong.append("the average is of another network")
        mine.train()
    return wrong
