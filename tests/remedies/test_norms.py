"""Which modules normalise, and what is left of them under no-norm: classes of torch, classes made from them, and hand-written ones."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.norms import norms
from bnprobe.remedies.scope import Scope


class BatchNormAct2d(nn.BatchNorm2d):
    """As in timm: a batch norm that activates."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, self.eps))


class LayerNorm2d(nn.LayerNorm):
    """As in timm and torchvision: a layer norm over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GroupNormAct(nn.GroupNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.silu(F.group_norm(x, self.num_groups, self.weight, bias=self.bias, eps=self.eps))


class LlamaRMSNorm(nn.Module):
    def __init__(self, size: int, offset: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        y = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
        return (self.offset + self.weight) * y.to(x.dtype)


class ChannelsFirstNorm(nn.Module):
    """As in the first ConvNeXt."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        y = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * y + self.bias[:, None, None]


class StrangeNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * torch.tanh(x)


def filled(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


X = torch.randn(8, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (BatchNormAct2d(4), lambda m, x: F.relu(x * m.weight.view(4, 1, 1) + m.bias.view(4, 1, 1))),
        (LayerNorm2d(4), lambda m, x: x * m.weight.view(4, 1, 1) + m.bias.view(4, 1, 1)),
        (GroupNormAct(2, 4), lambda m, x: F.silu(x * m.weight.view(4, 1, 1) + m.bias.view(4, 1, 1))),
        (LlamaRMSNorm(4), lambda m, x: x * m.weight),
        (LlamaRMSNorm(4, 1.0), lambda m, x: x * (1 + m.weight)),
        (ChannelsFirstNorm(4), lambda m, x: x * m.weight.view(4, 1, 1) + m.bias.view(4, 1, 1)),
    ],
    ids=["activates", "turned", "group-activates", "rms", "one-plus", "channels-first"],
)
@pytest.mark.parametrize("training", [True, False])
def test_only_the_normalisation_is_switched_off(norm: nn.Module, expected: object, training: bool) -> None:
    model = nn.Sequential(nn.Identity(), filled(copy.deepcopy(norm))).train(training)
    normalised = model(X)
    applied = apply("no-norm", model)
    torch.testing.assert_close(model(X), expected(model[1], X))  # type: ignore[operator]
    torch.testing.assert_close(copy.deepcopy(model)(X), model(X))
    torch.testing.assert_close(pickle.loads(pickle.dumps(model))(X), model(X))
    applied.remove()
    torch.testing.assert_close(model(X), normalised)
    assert list(model.state_dict()) == [f"1.{name}" for name in norm.state_dict()]


def test_what_fits_no_formula_is_refused_by_its_name() -> None:
    with pytest.raises(RemedyError, match="'0' is a StrangeNorm, which computes none of the normalisations"):
        apply("no-norm", nn.Sequential(StrangeNorm()))


def test_a_forward_that_calls_none_of_torchs_functions_is_refused_when_it_runs() -> None:
    class Written(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)

    model = nn.Sequential(Written(4))
    apply("no-norm", model)
    with pytest.raises(RemedyError, match="'0' is a Written, which calls none of torch's functions"):
        model(X)


def test_a_block_that_is_called_norm_is_none() -> None:
    class PreNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.feed = nn.LayerNorm(4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.feed(self.norm(x))

    assert [(one.name, one.kind) for one in norms(Scope([PreNorm()]))] == [("norm", "layer")]


def test_the_random_signal_leaves_the_scripts_draws_alone() -> None:
    torch.manual_seed(0)
    apply("no-norm", nn.Sequential(LlamaRMSNorm(4)))
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))


def test_a_norm_is_tried_on_a_twin_that_shares_nothing_it_may_write_to() -> None:
    class CountingNorm(LlamaRMSNorm):
        def __deepcopy__(self, memo: object) -> nn.Module:
            raise AssertionError("the script's own")

        def forward(self, x: Tensor) -> Tensor:
            self.seen.append(len(x))
            self.total.add_(1)
            self.calls += 1
            return super().forward(x)

    norm = CountingNorm(4)
    norm.seen, norm.calls = [], 0  # type: ignore[assignment]
    norm.register_buffer("total", torch.zeros(1))
    norm.register_forward_hook(lambda *call: norm.seen.append(-1))
    before = norm.weight.clone()
    assert [(one.kind, one.layout) for one in norms(Scope([nn.Sequential(norm)]))] == [("layer", "last axes")]
    assert (norm.seen, norm.calls, norm.total.item(), norm.training) == ([], 0, 0, True)
    assert torch.equal(norm.weight, before)


def test_a_norm_of_the_scripts_own_is_not_run_where_other_processes_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    apply("no-norm", nn.Sequential(nn.LayerNorm(4)))
    with pytest.raises(RemedyError, match="'0', a LlamaRMSNorm, is a normalisation of the script's own"):
        apply("no-norm", nn.Sequential(LlamaRMSNorm(4)))


def test_a_models_own_lists_of_its_parts_are_not_asked() -> None:
    class Listing(nn.Sequential):
        def named_modules(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            raise NotImplementedError

        modules = parameters = named_modules  # type: ignore[assignment]

    apply("no-norm", Listing(nn.Linear(4, 4), nn.LayerNorm(4)))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_layer_computes_the_same_in_evaluation(masked: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2)
    applied = apply("no-norm", model)
    x = torch.randn(4, 5, 16)
    mask = torch.arange(5)[None] >= torch.tensor([5, 4, 3, 2])[:, None] if masked else None
    seen = torch.ones(4, 5, 1) if mask is None else (~mask)[..., None]
    with torch.no_grad():
        trained, evaluated = model.train()(x, src_key_padding_mask=mask), model.eval()(x, src_key_padding_mask=mask)
        torch.testing.assert_close(trained * seen, evaluated * seen)
        applied.remove()
        assert (model(x, src_key_padding_mask=mask) * seen - evaluated * seen).abs().max() > 1e-2


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(2, 4), nn.LayerNorm((4, 4)), LayerNorm2d(4), ChannelsFirstNorm(4)], ids=lambda n: type(n).__name__
)
def test_batch_norm_is_refused_behind_any_normalisation(norm: nn.Module) -> None:
    with pytest.raises(RemedyError, match="normalises already, at '1'"):
        apply("batch-norm", nn.Sequential(nn.Conv2d(4, 4, 1), norm))
