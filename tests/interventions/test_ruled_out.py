"""What an intervention found nothing of is ruled out only where it would have seen it, whoever does it by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.at_work import AtWork
from tests.interventions.test_interventions import batches, network, trained


def stepped(
    by_hand: Callable[[nn.Module], Any] = lambda model: None,
    loss_of: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] = lambda model, x, y: F.cross_entropy(model(x), y),
    model: nn.Module | None = None,
) -> None:
    """A training in which a script does something between backward and step."""
    model = model or network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        optimizer.zero_grad()
        loss_of(model, x, y).backward()  # type: ignore[no-untyped-call]
        by_hand(model)
        optimizer.step()


def rescaled(model: nn.Module) -> None:
    for one in model.parameters():
        assert one.grad is not None
        one.grad.mul_(0.1)


def replaced(model: nn.Module) -> None:
    for one in model.parameters():
        assert one.grad is not None
        one.grad = one.grad.clamp(-0.1, 0.1)


def of_nothing(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 0.0 * F.cross_entropy(model(x), y)


def hooked() -> None:
    model = network()
    for one in model.parameters():
        one.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
    stepped(model=model)


@torch.no_grad()
def shrunk(model: nn.Module) -> None:
    for one in model.parameters():
        one.mul_(0.99)


def penalised(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x), y) + 0.1 * sum(one.pow(2).sum() for one in model.parameters())


class Masking(nn.Module):
    """Dropout written out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand_like(x) > 0.5)


def masked() -> None:
    stepped(model=network(nn.ReLU(), Masking()))


HALF, IN_HALF = network().to(torch.bfloat16), [(x.to(torch.bfloat16), y) for x, y in batches()]


def in_half() -> None:
    """What is there before torch's functions can be watched."""
    trained(HALF, lambda output, y: F.cross_entropy(output.float(), y), data=IN_HALF)


def one_is_frozen() -> None:
    model = network()
    stepped(model=model, loss_of=lambda model, x, y: F.cross_entropy(model[2](model[1](model[0](x)).detach()), y))  # type: ignore[index]


def squared(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(model(x), F.one_hot(y, 3).float())


def written_out(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (model(x).softmax(1).log() * -F.one_hot(y, 3)).sum(1).mean()


def called_twice(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x), y) + F.cross_entropy(model(x + 1), y)


def with_norm() -> None:
    stepped(model=network(nn.BatchNorm1d(12), nn.ReLU()))


THERE: list[tuple[str, Callable[[], None]]] = [
    ("take-steps", stepped),
    ("clear-gradients", stepped),
    ("training-mode", stepped),
    ("keep-gradients", stepped),
    ("unfreeze", stepped),
    ("float32", stepped),
    ("group-norm", stepped),
    ("batch-statistics", stepped),
    ("norm-by-call", with_norm),
    ("no-dropout", lambda: stepped(model=network(nn.ReLU(), nn.Dropout(0.0)))),
    ("no-weight-decay", stepped),
    ("no-weight-decay", with_norm),
    ("no-clipping", stepped),
    ("clip-unscaled", lambda: stepped(lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.1))),
    ("bypass-squashing", stepped),
    ("align-shapes", lambda: stepped(loss_of=squared)),
]
BY_HAND: list[tuple[str, Callable[[], None]]] = [
    ("keep-gradients", lambda: stepped(loss_of=of_nothing)),
    ("unfreeze", one_is_frozen),
    ("float32", in_half),
    ("batch-statistics", with_norm),
    ("norm-by-call", lambda: stepped(model=network(nn.BatchNorm1d(12)), loss_of=called_twice)),
    ("no-dropout", masked),
    ("no-weight-decay", lambda: stepped(loss_of=penalised)),
    ("no-weight-decay", lambda: stepped(shrunk)),
    ("no-clipping", lambda: stepped(rescaled)),
    ("no-clipping", lambda: stepped(replaced)),
    ("no-clipping", hooked),
    ("bypass-squashing", lambda: stepped(loss_of=written_out)),
    ("align-shapes", lambda: stepped(loss_of=written_out)),
    ("standardise-inputs", stepped),
]


def _entry(name: str, training: Callable[[], None]) -> dict[str, Any]:
    with AtWork([name], steps=12) as at_work:
        training()
    entry = at_work.record()[0]
    assert entry["refusal"], "it finds nothing of its kind"
    return entry


@pytest.mark.parametrize(("name", "training"), THERE)
def test_what_it_would_have_seen_is_ruled_out(name: str, training: Callable[[], None]) -> None:
    assert _entry(name, training)["is_ruled_out"]


@pytest.mark.parametrize(("name", "training"), BY_HAND)
def test_what_a_script_may_do_by_hand_is_not(name: str, training: Callable[[], None]) -> None:
    assert not _entry(name, training)["is_ruled_out"]


@pytest.mark.parametrize(
    "layer", [nn.LSTM(6, 5, 2, dropout=0.4), nn.GRU(6, 5, 2, dropout=0.4), nn.RNN(6, 5, 2, dropout=0.4)], ids=lambda one: type(one).__name__
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_recurrent_layers_drop_nothing(layer: nn.RNNBase, is_packed: bool) -> None:
    x: Any = torch.randn(4, 3, 6)
    if is_packed:
        x = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 3, 2]))
    out: Any = lambda: (lambda first: first.data if is_packed else first)(layer.train()(x)[0])  # noqa: E731
    with AtWork(["no-dropout"], steps=12) as at_work:
        changed = out()
    layer.dropout = 0.0
    torch.testing.assert_close(changed, out(), rtol=0, atol=0)
    layer.dropout = 0.4
    assert at_work.record()[0]["count"] == 1


def test_torchs_attention_drops_nothing() -> None:
    layer = nn.MultiheadAttention(8, 2, dropout=0.5).train()
    x = torch.randn(4, 3, 8)
    with AtWork(["no-dropout"], steps=12):
        changed = layer(x, x, x)[0]
    torch.testing.assert_close(changed, layer.eval()(x, x, x)[0])


class Listed(nn.Module):
    """A layer in a plain list, which no optimizer is told of; or one that is held, and left out."""

    def __init__(self, is_held: bool) -> None:
        super().__init__()
        middle = [nn.Linear(12, 12)]
        self.middle: Any = nn.ModuleList(middle) if is_held else middle
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.last(self.middle[0](self.first(x).relu()).relu())
        return output


@pytest.mark.parametrize(("is_held", "asks"), [(False, True), (True, True), (False, False)])
def test_a_layer_in_a_plain_list_is_no_choice(is_held: bool, asks: bool) -> None:
    model = Listed(is_held)
    model.middle[0].requires_grad_(asks)
    with AtWork(["unfreeze"], steps=12) as at_work:
        optimizer = torch.optim.SGD([*model.first.parameters(), *model.last.parameters()], lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    entry = at_work.record()[0]
    assert entry["count"] == 2
    assert entry["is_no_choice"] == (not is_held and asks)
