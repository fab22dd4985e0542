"""What a script's evaluations say, against a reference in float64 and against what the script computes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.compared.held_out import HeldOut
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.torch_private import LOSS_FUNCTIONS

CLASSES, SIZE, BATCH = 3, 50, 16


class Program:
    """A training whose evaluations are watched."""

    def __init__(self, held_out: HeldOut) -> None:
        torch.manual_seed(0)
        self.held_out = held_out
        self.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, CLASSES))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.training, self.test = self.data(), self.data()
        self.steps = 0

    @staticmethod
    def data() -> tuple[Tensor, Tensor]:
        return torch.randn(SIZE, 4), torch.randint(CLASSES, (SIZE,))

    def train(self, steps: int = 4, loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy) -> None:
        for _ in range(steps):
            inputs, labels = self.training
            value = loss(self.model(inputs), labels)
            self.held_out.backward_began(self.steps)
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()
            self.steps += 1

    def batches(self, data: tuple[Tensor, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(data[0].split(BATCH), data[1].split(BATCH), strict=True)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        self.model.eval()
        with torch.no_grad():
            yield
        self.model.train()

    def reference(self) -> tuple[float, float]:
        """Cross entropy and accuracy of the test data, in float64."""
        inputs, labels = self.test
        layers = [(layer.weight.detach().double(), layer.bias.detach().double()) for layer in self.model if isinstance(layer, nn.Linear)]
        hidden = (inputs.double() @ layers[0][0].T + layers[0][1]).clamp(min=0)
        logits = hidden @ layers[1][0].T + layers[1][1]
        chances = logits.exp() / logits.exp().sum(1, keepdim=True)
        right = sum(int(row.tolist().index(max(row.tolist())) == label) for row, label in zip(logits, labels.tolist(), strict=True))
        return float(-chances[torch.arange(SIZE), labels].log().mean()), right / SIZE

    def last(self) -> dict:
        self.held_out.end_evaluation(self.steps)
        return self.held_out.evaluations[-1]


@pytest.fixture
def program() -> Iterator[Program]:
    patches, tree = Patches(), ModuleTree()
    held_out = HeldOut(tree, Faults(True, lambda place, reason: None))
    tree.attach(patches)
    held_out.attach(patches)
    try:
        yield Program(held_out)
    finally:
        held_out.detach()
        patches.undo()


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, labels: F.cross_entropy(output, labels),
        lambda output, labels: F.cross_entropy(output, labels, reduction="sum"),
        lambda output, labels: F.cross_entropy(output, labels, reduction="none").mean(),
        lambda output, labels: nn.CrossEntropyLoss()(output, labels),
        lambda output, labels: F.nll_loss(output.log_softmax(1), labels),
    ],
)
def test_a_loss_is_the_mean_over_samples_however_it_is_asked_for(program: Program, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    program.train()
    with program.evaluating():
        for inputs, labels in program.batches(program.test):
            loss(program.model(inputs), labels)
    expected_loss, expected_accuracy = program.reference()
    found = program.last()
    assert found["loss"] == pytest.approx(expected_loss, rel=1e-5)
    assert found["accuracy"] == expected_accuracy
    assert (found["samples"], found["step"], found["source"]) == (SIZE, 4, "losses")


@pytest.mark.parametrize(
    "right",
    [
        lambda output, labels: output.argmax(1) == labels,
        lambda output, labels: torch.max(output, 1)[1] == labels,
        lambda output, labels: output.data.max(1).indices.eq(labels),
        lambda output, labels: torch.argmax(output, dim=-1).eq(labels),
        lambda output, labels: output.argmax(1, keepdim=True).eq(labels.view(-1, 1)),
        lambda output, labels: labels == output.softmax(1).log().argmax(dim=1),
    ],
)
def test_labels_that_are_only_compared_give_accuracy_and_the_loss_that_is_trained(
    program: Program, right: Callable[[Tensor, Tensor], Tensor]
) -> None:
    program.train()
    total = 0
    with program.evaluating():
        for inputs, labels in program.batches(program.test):
            total += int(right(program.model(inputs), labels).sum())
    expected_loss, expected_accuracy = program.reference()
    found = program.last()
    assert total / SIZE == expected_accuracy == found["accuracy"]
    assert found["loss"] == pytest.approx(expected_loss, rel=1e-5)
    assert (found["samples"], found["source"]) == (SIZE, "comparisons")


def test_a_loss_and_a_comparison_of_the_same_output_count_once(program: Program) -> None:
    program.train()
    with program.evaluating():
        output, labels = program.model(program.test[0]), program.test[1]
        F.cross_entropy(output, labels)
        (output.argmax(1) == labels).sum()
    assert program.last()["samples"] == SIZE


def test_labels_that_do_not_count_are_left_out(program: Program) -> None:
    program.train()
    labels = program.test[1].clone()
    labels[::2] = -100
    with program.evaluating():
        F.cross_entropy(program.model(program.test[0]), labels)
    assert program.last()["samples"] == SIZE // 2


def test_what_was_trained_on_is_no_held_out_data(program: Program) -> None:
    program.train()
    with program.evaluating():
        for data in (program.training, program.test):
            for inputs, labels in program.batches(data):
                F.cross_entropy(program.model(inputs), labels)
    expected_loss, _ = program.reference()
    found = program.last()
    assert found["samples"] == SIZE and found["left_out"] is True
    assert found["loss"] == pytest.approx(expected_loss, rel=1e-5)
    program.train(1)
    with program.evaluating():
        F.cross_entropy(program.model(program.training[0]), program.training[1])
    assert program.last()["samples"] == 0, "only training data"


def test_measures_of_a_training_batch_are_no_evaluation(program: Program) -> None:
    program.train(2)
    output = program.model(program.training[0])
    with torch.no_grad():
        F.cross_entropy(output, program.training[1])
        (output.argmax(1) == program.training[1]).sum()
    program.train(1)
    program.held_out.end_evaluation(program.steps)
    assert program.held_out.evaluations == []


def test_training_in_evaluation_mode_is_no_evaluation(program: Program) -> None:
    program.model.eval()
    program.train(5)
    program.held_out.end_evaluation(program.steps)
    assert program.held_out.evaluations == []


def test_an_evaluation_that_keeps_gradients_is_one(program: Program) -> None:
    program.train()
    program.model.eval()
    F.cross_entropy(program.model(program.test[0]), program.test[1])
    expected_loss, _ = program.reference()
    program.model.train()
    program.train(1)
    assert program.held_out.evaluations[-1]["loss"] == pytest.approx(expected_loss, rel=1e-5)


def test_each_evaluation_stands_at_its_step(program: Program) -> None:
    for _ in range(3):
        program.train(2)
        with program.evaluating():
            F.cross_entropy(program.model(program.test[0]), program.test[1])
    program.held_out.end_evaluation(program.steps)
    assert [one["step"] for one in program.held_out.evaluations] == [2, 4, 6]
    assert not any(one["draws_anew"] for one in program.held_out.evaluations)


def test_other_samples_at_each_evaluation_are_told(program: Program) -> None:
    for _ in range(2):
        program.train(2)
        with program.evaluating():
            F.cross_entropy(program.model(torch.randn(SIZE, 4)), program.test[1])
    assert program.last()["draws_anew"] is True


def test_squared_errors_have_no_accuracy_and_bits_have_one(program: Program) -> None:
    program.train(2, lambda output, labels: F.mse_loss(output[:, 0], labels.float()))
    with program.evaluating():
        output = program.model(program.test[0])[:, 0]
        F.mse_loss(output, program.test[1].float())
    found = program.last()
    assert found["loss"] == pytest.approx(float((output - program.test[1]).double().square().mean()), rel=1e-5)
    assert found["accuracy"] != found["accuracy"]
    bits = (program.test[1] > 0).float()
    program.train(1, lambda output, labels: F.binary_cross_entropy_with_logits(output[:, 0], (labels > 0).float()))
    with program.evaluating():
        output = program.model(program.test[0])[:, 0]
        F.binary_cross_entropy_with_logits(output, bits)
    assert program.last()["accuracy"] == float(((output > 0) == (bits > 0)).double().mean())


def test_nothing_is_left_behind() -> None:
    names = [(one.owner, one.name) for one in LOSS_FUNCTIONS] + [(torch, "argmax"), (torch.Tensor, "__eq__"), (torch.Tensor, "max")]
    before = [getattr(owner, name) for owner, name in names]
    patches, tree = Patches(), ModuleTree()
    held_out = HeldOut(tree, Faults(True, lambda place, reason: None))
    held_out.attach(patches)
    assert all(getattr(owner, name) is not was for (owner, name), was in zip(names, before, strict=True))
    held_out.detach()
    patches.undo()
    assert [getattr(owner, name) for owner, name in names] == before
    assert "__eq__" not in vars(torch.Tensor)


def test_a_comparison_of_what_has_no_numbers_in_memory_is_the_scripts_alone(program: Program) -> None:
    program.train()
    with program.evaluating():
        predicted = program.model(program.test[0]).argmax(1)
        every = torch.func.vmap(lambda label: predicted == label)(torch.arange(CLASSES))
    assert every.shape == (CLASSES, SIZE)
