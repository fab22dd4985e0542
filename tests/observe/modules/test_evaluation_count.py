"""How forwards without gradient are counted."""

from __future__ import annotations

import itertools
import sys

from torch import nn

from bnprobe.observe.modules.evaluation_count import EvaluationCount
from bnprobe.observe.modules.tree import ModuleTree

_ORDER = itertools.count(1)


def _call(count: EvaluationCount, tree: ModuleTree, *modules: nn.Module) -> None:
    for module in modules:
        count.note(module, tree.get(module), next(_ORDER))


def _model() -> tuple[EvaluationCount, ModuleTree, nn.Sequential]:
    tree = ModuleTree()
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    tree.get(model)
    return EvaluationCount(tree), tree, model


def test_each_forward_of_a_whole_model_in_evaluation_counts() -> None:
    count, tree, model = _model()
    model.eval()
    for _ in range(3):
        _call(count, tree, *model, model)
    assert (count.take(), count.take()) == (3, 0)


def test_in_training_mode_it_counts_unless_backward_called_it_again() -> None:
    count, tree, model = _model()
    _call(count, tree, *model, model)
    assert count.take() == 1
    _call(count, tree, *model, model)
    for module in (*model, model):
        tree.get(module).hidden_forwards.clear()
    assert count.take() == 0


def test_a_model_called_by_its_parts_counts_by_the_one_called_most() -> None:
    count, tree, model = _model()
    model.eval()
    _call(count, tree, model[0], model[1], model[0])
    assert count.take() == 2


def test_what_has_no_parameters_is_no_model() -> None:
    count, tree, _ = _model()
    _call(count, tree, nn.Softmax(1).eval(), nn.MSELoss().eval())
    assert count.take() == 0


def test_a_frozen_part_of_a_training_is_named() -> None:
    count, tree, model = _model()
    tree.note_trained(tree.get(model))
    _call(count, tree, model[0])
    count.take()
    assert count.parts_without_gradient == set()  # its forward still goes on: backward may call it again
    count.take()
    assert count.parts_without_gradient == {"0"}


def test_at_the_end_what_ran_before_the_last_backward_is_judged() -> None:
    count, tree, model = _model()
    tree.note_trained(tree.get(model))
    _call(count, tree, model[0])
    count.take()
    last = next(_ORDER)  # the layer whose gradient has come
    model.append(nn.Linear(2, 2))
    _call(count, tree, model[2])  # of a forward that has no backward yet
    count.end(last)
    assert count.parts_without_gradient == {"0"}


def test_what_runs_in_front_of_the_first_layer_with_gradient_waits_for_its_backward() -> None:
    """That layer closes the step before; a first block that is checkpointed ran until then without gradient."""
    count, tree, model = _model()
    tree.note_trained(tree.get(model))
    for _ in range(3):
        _call(count, tree, model[0])
        count.take()
        assert len(tree.get(model[0]).hidden_forwards) == 1
        tree.get(model[0]).hidden_forwards.clear()  # backward called it again
    count.take()
    assert count.parts_without_gradient == set()


def test_what_is_held_does_not_grow_with_the_number_of_forwards() -> None:
    count, tree, model = _model()

    def held() -> int:
        known = [*count._whole.values(), *(calls for parts in count._parts.values() for calls in parts.values())]
        return sum(map(sys.getsizeof, (count._whole, count._parts, count._hidden, known))) + sum(
            sys.getsizeof(entry.hidden_forwards) for entry in count._hidden.values()
        )

    for mode in (True, False):
        model.train(mode)
        for _ in range(100):
            _call(count, tree, *model, model, nn.Softmax(1).train(mode))
    before = held()
    for _ in range(2_000):
        _call(count, tree, *model, model)
    assert held() == before
