"""Whose training is recorded where several threads train."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bnprobe.observe.training_thread import TrainingThread


def elsewhere(ask: Callable[[], Any]) -> Any:
    """Ask in a thread of its own, which is over when the answer is there."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]


def test_the_first_that_goes_backward_is_recorded_and_others_are_named_once() -> None:
    others: list[int] = []
    thread = TrainingThread(lambda: others.append(1), lambda: False)
    assert thread.is_alone
    assert thread.claims()

    def train() -> list[bool]:
        return [thread.sees(), thread.claims(), thread.claims(), thread.sees()]

    assert elsewhere(train) == [True, False, False, False]
    assert thread.claims()
    assert not thread.is_alone
    assert others == [1]


def test_a_thread_that_only_runs_forwards_is_seen() -> None:
    thread = TrainingThread(lambda: None, lambda: False)
    thread.claims()
    assert elsewhere(thread.sees)
    assert not thread.is_alone
    assert not thread.others


def test_when_it_has_ended_the_next_one_is_recorded() -> None:
    others: list[int] = []
    thread = TrainingThread(lambda: others.append(1), lambda: False)
    assert elsewhere(thread.claims)
    assert elsewhere(thread.claims)
    assert thread.claims()
    assert others == []


def test_a_thread_of_a_backward_belongs_to_who_waits_for_it() -> None:
    inside = threading.local()
    thread = TrainingThread(lambda: None, lambda: getattr(inside, "backward", False))
    thread.claims()

    def step_inside_backward() -> bool:
        inside.backward = True
        return thread.claims()

    assert elsewhere(step_inside_backward)
    assert thread.is_alone


def test_a_number_that_another_thread_had_is_nobodys() -> None:
    thread = TrainingThread(lambda: None, lambda: False)
    thread.claims()
    elsewhere(thread.claims)
    thread._others = {number: reference for number, reference in thread._others.items()}
    (number,) = thread._others
    thread._others = {threading.get_ident(): thread._others[number]}
    thread._owner_number = 0
    assert thread.sees()
