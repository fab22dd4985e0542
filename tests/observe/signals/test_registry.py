"""How the axes of one signal follow from another's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST, Layout
from bnprobe.measure.moments import moments
from bnprobe.observe.modules.kinds import examine
from bnprobe.observe.signals.registry import SignalRegistry, Source, follow, learn

LINEAR = nn.Linear(6, 6)
ENTRY = examine(LINEAR)
OWN_SINGLE = Layout(channel=-1, is_single=True)


def _registered(signal: torch.Tensor, layout: Layout) -> SignalRegistry:
    registry = SignalRegistry()
    registry.add(signal, layout, moments(signal.detach(), layout), ENTRY, None)
    return registry


def _computed() -> torch.Tensor:
    return torch.ones(4, 4, 6, requires_grad=True) * 2.0


def test_a_signal_is_itself_until_it_is_changed() -> None:
    signal = torch.ones(4, 4, 6)
    registry = _registered(signal, TIME_FIRST)
    found = registry.find(signal.detach())
    assert found is not None
    assert found.layout == TIME_FIRST
    assert found.is_unchanged(signal)
    signal.add_(1.0)
    assert not found.is_unchanged(signal)


def test_a_view_that_exchanges_axes_has_them_exchanged() -> None:
    signal = torch.arange(96.0).reshape(4, 4, 6)
    found = _registered(signal, TIME_FIRST).find(signal.transpose(0, 1))
    assert found is not None
    assert found.layout == CHANNELS_LAST


def test_what_is_computed_has_the_axes_of_what_it_was_computed_from_and_not_of_its_equal_in_shape() -> None:
    late, early = _computed(), _computed()
    registry = _registered(late, TIME_FIRST)
    registry.add(early, CHANNELS_LAST, moments(early.detach(), CHANNELS_LAST), ENTRY, None)
    assert registry.origin(torch.relu(late + 1.0)).layout == TIME_FIRST  # type: ignore[union-attr]
    assert registry.origin(torch.relu(early + 1.0)).layout == CHANNELS_LAST  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (lambda x: x.transpose(0, 1), CHANNELS_LAST),
        (lambda x: x.transpose(-3, -2), CHANNELS_LAST),
        (lambda x: x.permute(1, 0, 2), CHANNELS_LAST),
        (lambda x: x.permute(0, 1, 2), TIME_FIRST),
        (lambda x: x.transpose(0, 1).transpose(1, 0), TIME_FIRST),
        (lambda x: x.transpose(1, 2), None),
        (lambda x: x.permute(2, 0, 1), None),
    ],
)
def test_operations_that_move_axes_are_followed(move: object, expected: Layout | None) -> None:
    signal = _computed()
    found = _registered(signal, TIME_FIRST).origin(move(signal) + 1.0)  # type: ignore[operator]
    assert (found.layout if found else None) == expected


def test_what_has_no_graph_follows_its_shape_unless_that_is_ambiguous() -> None:
    registry, source = _registered(torch.ones(1), CHANNELS_FIRST), None
    first, second = torch.ones(4, 5, 6), torch.ones(4, 5, 6)
    source = registry.find(first)
    assert registry.origin(torch.zeros(4, 5, 6)) is None
    made = Source(registry._by_address.popitem()[1], None, False)
    registry.add(first, CHANNELS_FIRST, moments(first, CHANNELS_FIRST), ENTRY, made)
    assert registry.origin(torch.zeros(4, 5, 6)).layout == CHANNELS_FIRST  # type: ignore[union-attr]
    registry.add(second, CHANNELS_LAST, moments(second, CHANNELS_LAST), ENTRY, made)
    assert registry.origin(torch.zeros(4, 5, 6)) is None
    assert source is None


@pytest.mark.parametrize(
    ("module", "shape", "channels"),
    [
        (nn.ReLU(), (8, 30, 30), 8),
        (nn.MaxPool2d(2), (8, 15, 15), 8),
        (nn.Flatten(0), (7200,), 7200),
        (nn.Linear(30, 30), (8, 30, 30), 30),
    ],
)
def test_what_follows_an_unbatched_convolution_is_one_sample(module: nn.Module, shape: tuple[int, ...], channels: int) -> None:
    signal = torch.ones(8, 30, 30)
    layout = follow(nn.Conv2d(3, 8, 3), examine(nn.Conv2d(3, 8, 3)), signal.shape, None)
    source = _registered(signal, layout).find(signal)
    measured = moments(torch.ones(shape), follow(module, examine(module), torch.Size(shape), source))
    assert (measured.samples, measured.channels) == (1, channels)


@pytest.mark.parametrize(
    ("module", "shape", "samples", "channels"),
    [
        (nn.Linear(3, 5), (5,), 1, 5),
        (nn.LSTM(3, 5), (7, 5), 1, 5),
        (nn.LSTMCell(3, 5), (5,), 1, 5),
        (nn.LayerNorm(5), (5,), 1, 5),
        (nn.Conv1d(3, 5, 3), (5, 9), 1, 5),
        (nn.MaxPool1d(2), (5, 9), 1, 5),
        (nn.LSTM(3, 5), (7, 2, 5), 2, 5),
        (nn.Linear(3, 5), (4, 5), 4, 5),
    ],
)
def test_a_layer_knows_how_many_axes_a_sample_has(module: nn.Module, shape: tuple[int, ...], samples: int, channels: int) -> None:
    measured = moments(torch.ones(shape), follow(module, examine(module), torch.Size(shape), None))
    assert (measured.samples, measured.channels) == (samples, channels)


def test_pooling_along_a_batch_of_vectors_keeps_the_batch() -> None:
    signal = torch.ones(4, 6)
    source = _registered(signal, CHANNELS_FIRST).find(signal)
    pooling = nn.MaxPool1d(2)
    assert not follow(pooling, examine(pooling), torch.Size((4, 3)), source).is_single


def test_a_recurrent_layer_tells_what_stood_before_it_where_time_is() -> None:
    first, second = examine(nn.Linear(6, 6)), examine(nn.ReLU())
    signal, active = torch.ones(7, 4, 6), torch.ones(7, 4, 6)
    registry = SignalRegistry()
    registry.add(signal, CHANNELS_LAST, moments(signal, CHANNELS_LAST), first, None)
    registry.add(active, CHANNELS_LAST, moments(active, CHANNELS_LAST), second, registry.find(signal))
    received = registry.find(active)
    assert received is not None
    learn(received, TIME_FIRST)
    assert first.gives_time_first
    assert second.gives_time_first
    assert follow(LINEAR, first, signal.shape, None) == TIME_FIRST


def test_nothing_is_kept_alive_and_all_is_forgotten() -> None:
    signal = _computed()
    registry = _registered(signal, TIME_FIRST)
    address = signal.data_ptr()
    assert len(registry) == 1
    del signal
    assert registry._by_address[address].tensor() is None
    registry.clear()
    assert len(registry) == 0
    assert registry.origin(_computed() + 1.0) is None
