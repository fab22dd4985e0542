"""Layer, group and RMS norm behind layers, against torch's own functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.added_norm import AddedNorm
from tests.remedies.networks import network

EPS = 1e-5


def rms(y: torch.Tensor) -> torch.Tensor:
    return y * torch.rsqrt(y.square().mean(tuple(range(1, y.dim())), keepdim=True) + EPS)


#: What becomes of a convolution's output and of a linear layer's, both of sixteen channels.
FORMULAS = {
    "layer-norm": (lambda y: F.layer_norm(y, y.shape[1:]), lambda y: F.layer_norm(y, y.shape[-1:])),
    "group-norm": (lambda y: F.group_norm(y, 2), lambda y: F.group_norm(y.flatten(0, 1), 2).view_as(y)),
    "rms-norm": (rms, lambda y: rms(y.flatten(0, 1)).view_as(y)),
}


@pytest.mark.parametrize("remedy", FORMULAS)
def test_equals_torchs_function_behind_each_kind_of_layer(remedy: str) -> None:
    torch.manual_seed(0)
    convolution, linear, last = nn.Conv2d(3, 16, 3).double(), nn.Linear(5, 16).double(), nn.Linear(16, 2).double()
    images, tokens = torch.randn(2, 3, 6, 6, dtype=torch.float64) + 1, torch.randn(2, 4, 5, dtype=torch.float64) + 1
    plain = convolution(images), linear(tokens), last(plain_tokens := linear(tokens))
    apply(remedy, nn.ModuleList([convolution, linear, last]))
    of_convolution, of_linear = FORMULAS[remedy]
    torch.testing.assert_close(convolution(images), of_convolution(plain[0]))
    torch.testing.assert_close(linear(tokens), of_linear(plain[1]))
    torch.testing.assert_close(last(plain_tokens), plain[2])  # the answer is left as it is


@pytest.mark.parametrize("packed", [False, True])
def test_recurrent_layers_are_normalised_at_every_moment(packed: bool) -> None:
    torch.manual_seed(0)
    body = nn.LSTM(4, 6, num_layers=2, bidirectional=True)
    given: object = torch.randn(5, 3, 4)
    if packed:
        given = nn.utils.rnn.pack_padded_sequence(torch.randn(5, 3, 4), torch.tensor([5, 4, 2]))
    plain, (state, _) = body(given)
    apply("layer-norm", nn.ModuleList([body, nn.Linear(12, 2)]))
    found, (after, _) = body(given)
    values, expected = (found.data, plain.data) if packed else (found, plain)
    torch.testing.assert_close(values, F.layer_norm(expected, (12,)))
    assert torch.equal(state, after)


def test_attention_is_normalised_where_it_goes_back_into_the_network() -> None:
    torch.manual_seed(0)
    attention, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(2, 3, 8)
    plain, weights = attention(x, x, x)
    applied = apply("layer-norm", nn.ModuleList([attention, nn.Linear(8, 2)]))
    assert applied.touched[0].names == ("0",)
    found, same = attention(x, x, x)
    torch.testing.assert_close(found, F.layer_norm(plain, (8,)))
    assert torch.equal(weights, same)


@pytest.mark.parametrize(("remedy", "added"), [("layer-norm:affine", 2), ("group-norm:affine", 2), ("rms-norm:affine", 1)])
def test_scale_and_shift_are_learned_on_request(remedy: str, added: int) -> None:
    model = network()
    applied = apply(remedy, model)
    layers = len(applied.touched[0].names)
    assert layers == 4  # all but the classifier
    assert len(applied.touched[0].added) == added * layers
    images = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        for one in applied.touched[0].added:
            one.parameter.fill_(3.0 if one.name.endswith("weight") else 1.0)
    y = model.narrow(torch.randn(2, 4, 6, 6))
    torch.testing.assert_close(y.square().mean() if added == 1 else (y - 1).square().mean(), torch.tensor(9.0), rtol=1e-3, atol=0.0)
    model(images).sum().backward()
    assert all(one.parameter.grad is not None for one in applied.touched[0].added)


class ActorCritic(nn.Module):
    """Two heads, before the trunk, and a gate of one output; a count and an average that the forward keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.actor, self.critic = nn.Linear(16, 4), nn.Linear(16, 1)
        self.body, self.gate, self.out = nn.Linear(5, 16), nn.Linear(16, 1), nn.Linear(16, 16)
        self.kept: list[torch.Tensor] = []
        self.calls, self.mean = 0, torch.zeros(())
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        self.kept.append(x)
        self.mean = 0.9 * self.mean + x.mean()
        self.seen += x.mean()
        x = torch.relu(self.body(x))
        x = torch.relu(self.out(x * self.gate(x).sigmoid()))
        return self.actor(x), self.critic(x)


@pytest.mark.parametrize("remedy", FORMULAS)
def test_every_head_is_left_and_nothing_of_one_output_becomes_a_constant(remedy: str) -> None:
    torch.manual_seed(0)
    model = ActorCritic()
    applied = apply(remedy, model)
    assert applied.touched[0].names == ("body", "out")
    assert list(applied.record()[0]["left"].values()) == [["actor", "critic"], ["gate"]]
    assert (model.calls, model.kept, float(model.mean), float(model.seen)) == (0, [], 0.0, 0.0)  # its code was followed, not run
    assert model(torch.randn(8, 5))[1].std() > 0.01


def test_what_a_model_returns_as_it_is_is_an_answer_though_a_layer_takes_it_too() -> None:
    class Variational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mean, self.spread, self.out = nn.Linear(5, 8), nn.Linear(8, 2), nn.Linear(8, 2), nn.Linear(2, 5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            mean, spread = self.mean(h := self.body(x).relu()), self.spread(h)
            return self.out(mean + spread.exp() * torch.randn_like(spread)), mean, spread

    assert apply("layer-norm", Variational()).touched[0].names == ("body",)


def test_code_that_cannot_be_followed_leaves_the_last_layer_of_the_tree() -> None:
    class Choosing(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if x.mean() > 0 else x

    assert apply("layer-norm", Choosing(nn.Linear(5, 8), nn.Linear(8, 5))).touched[0].names == ("0",)


@pytest.mark.parametrize("first", FORMULAS)
def test_one_normalisation_is_enough_in_either_order(first: str) -> None:
    for remedies in ([first, "batch-norm"], ["batch-norm", first]):
        with pytest.raises(RemedyError, match="the model normalises already, at 'first") as caught:
            apply(remedies, network())
        assert caught.value.hint == "apply one remedy that normalises"


def test_groups_have_eight_channels_or_more() -> None:
    groups = {channels: _group_norm().groups_of(channels) for channels in (4, 8, 16, 24, 100, 512, 1024)}
    assert groups == {4: 1, 8: 1, 16: 2, 24: 3, 100: 10, 512: 32, 1024: 32}


def _group_norm() -> AddedNorm:  # type: ignore[type-arg]
    from bnprobe.remedies.group_norm import GroupNorm

    return GroupNorm()


@pytest.mark.parametrize("remedy", FORMULAS)
def test_a_network_that_normalises_is_refused(remedy: str) -> None:
    with pytest.raises(RemedyError, match="the model normalises already, at '1'") as caught:
        apply(remedy, nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Linear(4, 2)))
    assert caught.value.hint == "no-norm switches that off"
    with pytest.raises(RemedyError, match="layer is trained before the last"):
        apply(remedy, nn.Linear(2, 4))
