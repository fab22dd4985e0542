"""Remedies that add or exchange modules: against torch's own modules put there by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.noise import ChannelNoise, Noise, _disturb
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Scope
from tests.remedies.networks import network, train

X = torch.randn(16, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class TestBatchNorm:
    @pytest.mark.parametrize("affine", [False, True])
    def test_equals_torchs_module_behind_the_convolution(self, affine: bool) -> None:
        torch.manual_seed(0)
        convolution = nn.Conv2d(3, 4, 3, dtype=torch.float64)
        reference = nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.float64), nn.BatchNorm2d(4, affine=affine, dtype=torch.float64))
        reference[0].load_state_dict(convolution.state_dict())
        apply("batch-norm:affine" if affine else "batch-norm", nn.ModuleList([convolution, nn.Conv2d(4, 2, 1)]))
        for _ in range(3):
            assert torch.equal(convolution(X), reference(X))
        assert torch.equal(convolution.eval()(X), reference.eval()(X))
        if affine:
            convolution(X).square().sum().backward()
            reference(X).square().sum().backward()
            assert torch.equal(convolution.added_batch_norm.weight.grad, reference[1].weight.grad)

    @pytest.mark.parametrize("dimensions", [1, 3])
    def test_other_dimensions(self, dimensions: int) -> None:
        kind = nn.Conv1d if dimensions == 1 else nn.Conv3d
        layer = kind(2, 3, 1)
        apply("batch-norm", nn.ModuleList([layer, nn.Linear(3, 1)]))
        output = layer(torch.randn(4, 2, *(5,) * dimensions))
        assert output.transpose(0, 1).flatten(1).mean(1).abs().max() < 1e-6

    def test_tokens_and_moments_of_time_are_part_of_the_batch(self) -> None:
        torch.manual_seed(0)
        linear, body, attention = nn.Linear(4, 6), nn.LSTM(6, 6, batch_first=True), nn.MultiheadAttention(6, 2, batch_first=True)
        apply("batch-norm", nn.ModuleList([linear, body, attention, nn.Linear(6, 2)]))
        x = torch.randn(5, 3, 4)
        after = [tokens := linear(x), words := body(tokens)[0], attention(words, words, words)[0]]
        for y in after:
            assert y.mean((0, 1)).abs().max() < 1e-6
            torch.testing.assert_close(y.var((0, 1), correction=0), torch.ones(6), atol=0.05, rtol=0)
        linear.eval()
        torch.testing.assert_close(linear(x[:1]), linear(x)[:1])  # by running statistics, whatever else is in the batch

    def test_only_convolutions_on_request(self) -> None:
        applied = apply("batch-norm:after=convolutions", network())
        assert applied.touched[0].names == ("first", "block.conv1", "block.conv2", "narrow")

    def test_a_network_that_normalises_is_refused(self) -> None:
        with pytest.raises(RemedyError, match="normalises already, at '1'") as caught:
            apply("batch-norm", nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
        assert "no-norm" in str(caught.value.hint)


class TestNoNorm:
    @pytest.mark.parametrize(
        "norm",
        [nn.BatchNorm2d(3), nn.GroupNorm(3, 3), nn.InstanceNorm2d(3, affine=True), nn.BatchNorm2d(3, affine=False), nn.InstanceNorm2d(3)],
        ids=lambda norm: f"{type(norm).__name__}-{norm.affine}",
    )
    def test_the_affine_part_stays_over_channels(self, norm: nn.Module) -> None:
        model = nn.Sequential(nn.Conv2d(3, 3, 1), norm).double()
        for parameter in norm.parameters():
            nn.init.normal_(parameter)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        apply("no-norm", model)
        y = model[0](X)
        affine = [p.view(1, 3, 1, 1) for p in norm.parameters()]
        torch.testing.assert_close(model(X), y * affine[0] + affine[1] if affine else y)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert len(before) == len(model.state_dict())

    @pytest.mark.parametrize("norm", [nn.LayerNorm((6, 6)), nn.RMSNorm(6), nn.LayerNorm(6, elementwise_affine=False)])
    def test_and_over_the_last_axes(self, norm: nn.Module) -> None:
        model = nn.Sequential(nn.Conv2d(3, 3, 1), norm).double()
        for parameter in norm.parameters():
            nn.init.normal_(parameter)
        apply("no-norm:only=layer", model)
        expected = model[0](X)
        for parameter, act in zip(norm.parameters(), (torch.mul, torch.add), strict=False):
            expected = act(expected, parameter)
        torch.testing.assert_close(model(X), expected)

    def test_removal_brings_it_back(self) -> None:
        norm = nn.BatchNorm2d(3)
        model = nn.Sequential(nn.Conv2d(3, 3, 1), norm)
        applied = apply("no-norm", model)
        assert not isinstance(norm, nn.BatchNorm2d)
        applied.remove()
        assert type(norm) is nn.BatchNorm2d

    def test_nothing_of_that_kind(self) -> None:
        with pytest.raises(RemedyError, match="no layer norm"):
            apply("no-norm:only=layer", nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))


class TestDropout:
    def test_equals_torchs_dropout_behind_activations(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).double()
        applied = apply("dropout:p=0.4", model)
        assert applied.touched[0].names == ("1",)
        torch.manual_seed(1)
        y = model(X)
        torch.manual_seed(1)
        torch.testing.assert_close(y, model[2](F.dropout(F.relu(model[0](X)), 0.4)))
        torch.testing.assert_close(model.eval()(X), model[2](F.relu(model[0](X))))

    def test_whole_channels(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 50, 1), nn.ReLU6()).double()
        apply("dropout:p=0.5,after=convolutions,channels", model)
        dropped = (model[0](X) == 0).flatten(2)
        assert torch.equal(dropped.all(2), dropped.any(2))
        assert 0.4 < float(dropped.double().mean()) < 0.6

    def test_activations_called_as_functions_are_not_seen(self) -> None:
        with pytest.raises(RemedyError, match="no activations among the modules") as caught:
            apply("dropout", nn.Sequential(nn.Conv2d(3, 3, 1)))
        assert "dropout:after=convolutions" in str(caught.value.hint)

    def test_a_forward_that_was_put_in_is_not_run(self) -> None:
        class Swish(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * x.sigmoid()

        calls: list[torch.Tensor] = []
        patched = Swish()
        patched.forward = lambda x: calls.append(x) or F.silu(x)  # type: ignore[method-assign]
        assert apply("dropout", nn.Sequential(nn.Linear(3, 3), Swish(), patched)).touched[0].names == ("1",)
        assert not calls

    def test_activations_of_a_model_that_is_not_trained_are_left_alone(self) -> None:
        model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
        model[0].requires_grad_(False)
        assert apply("dropout", model).touched[0].names == ("1.1",)


class Masked(nn.Conv2d):
    """As in partial convolutions: a second argument, without which it computes something else."""

    def forward(self, input: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        y = F.conv2d(input, self.weight)
        return y if mask is None else y * mask


class TestNoise:
    def test_one_factor_for_each_sample_and_channel(self) -> None:
        model = network(dtype=torch.float64)
        apply("noise:d=0.3", model)
        seen: list[torch.Tensor] = []
        model.block.relu1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        h = model.first(X)
        model(X)
        factors = (seen[0] / h).flatten(2)
        assert factors.std(2).max() < 1e-12
        assert 0.7 <= factors.detach().min() < factors.detach().max() <= 1.3
        assert factors[..., 0].unique().numel() == 16 * 4
        model.eval()(X)
        assert torch.equal(seen[1], h)

    def test_one_factor_for_each_channel(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)).double()
        apply("noise:per=channel,at=convolutions", model)
        noisy = model[1].added_noise(torch.ones_like(X))
        assert torch.equal(noisy, noisy[:1, :, :1, :1].expand_as(noisy))

    def test_a_convolution_of_the_scripts_own_keeps_its_other_arguments(self) -> None:
        model = nn.ModuleList([nn.Conv2d(3, 3, 1), Masked(3, 3, 1)]).double()
        apply("noise:at=convolutions", model)
        mask = torch.zeros_like(X)
        assert model[1](X, mask).abs().max() == model[1](input=X, mask=mask).abs().max() == 0
        assert not torch.equal(model[1](X), model.eval()[1](X))

    def test_an_input_by_keyword_is_refused(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)).double()
        apply("noise:at=convolutions", model)
        with pytest.raises(RemedyError, match="by keyword"):
            model[1](input=X)

    def test_a_network_without_blocks_is_told_where_else(self) -> None:
        with pytest.raises(RemedyError, match="no residual block whose code") as caught:
            apply("noise", nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)))
        assert caught.value.hint == "noise:at=convolutions"


class TestSkipInit:
    def test_branches_start_off_and_are_learned(self) -> None:
        model = network(dtype=torch.float64)
        apply("skip-init", model)
        h = torch.randn(2, 4, 6, 6, dtype=torch.float64)
        assert torch.equal(model.block(h), h)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 3)
        factor = model.block.conv2.added_branch_factor.factor
        assert factor.item() != 0.0
        convolution = F.conv2d(F.relu(model.block.conv1(F.relu(h))), model.block.conv2.weight, padding=1)
        torch.testing.assert_close(model.block(h), h + factor * convolution)

    def test_a_branch_may_end_in_a_recurrent_layer(self) -> None:
        class Layer(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.proj, self.lstm = nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + self.lstm(self.proj(x))[0]

        layer, x = Layer(), torch.randn(2, 3, 4)
        apply("skip-init", layer)
        assert torch.equal(layer(x), x)


class Bottleneck(nn.Module):
    """The block of the well-known residual networks: normalised, one shared activation, a projecting shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = nn.Sequential(nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(out + identity)


class TestResidualBranches:
    def test_the_last_module_of_the_longer_side(self) -> None:
        (branch,) = residual_branches(Scope([nn.Sequential(Bottleneck())]))
        assert (branch.name, branch.last_name) == ("0", "0.bn2")
        assert len(branch.convolutions()) == 2

    def test_code_that_depends_on_values_shows_none(self) -> None:
        class Choosing(Bottleneck):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x) if x.mean() > 0 else x

        assert residual_branches(Scope([Choosing()])) == []

    def test_an_addition_of_equals_is_no_branch(self) -> None:
        class Both(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.left, self.right = nn.Linear(2, 2), nn.Linear(2, 2)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.left(x) + self.right(x)

        assert residual_branches(Scope([Both()])) == []

    def test_attention_and_feed_forward_with_shared_dropout(self) -> None:
        class Layer(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(4), nn.LayerNorm(4)
                self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
                self.feed = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
                self.drop = nn.Dropout(0.0)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                y = self.norm1(x)
                x = x + self.drop(self.attention(y, y, y)[0])
                return x + self.drop(self.feed(self.norm2(x)))

        layer = Layer()
        assert [b.last_name for b in residual_branches(Scope([layer]))] == ["attention", "feed"]
        apply("skip-init", layer)
        x = torch.randn(2, 3, 4)
        assert torch.equal(layer(x), x)


class Sequences(nn.Module):
    """A residual block whose branch is an nn.Sequential, which runs whatever it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)


class TestPartsOfASequence:
    def test_a_branch_has_one_factor(self) -> None:
        torch.manual_seed(0)
        model, x = nn.Sequential(Sequences(), nn.Linear(4, 1)), torch.randn(8, 4)
        branch = model[0].branch(x).detach()
        factor = apply("skip-init:start=0.5", model).touched[0].added[0].parameter
        torch.testing.assert_close(model[0](x), x + 0.5 * branch)
        with torch.no_grad():
            factor.zero_()
        model(x).square().sum().backward()
        assert factor.grad.abs() > 0  # a factor that acted twice would never leave zero

    def test_noise_disturbs_the_input_alone(self) -> None:
        class Scale(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * 2

        torch.manual_seed(0)
        block = nn.Sequential(Scale(), Scale())
        remedy = Noise()
        remedy.add_before(block, "added_noise", ChannelNoise(0.1, True, 1), _disturb, with_kwargs=True)
        factors = block(torch.ones(2000, 3)) / 4
        assert 0.9 <= float(factors.detach().min()) < 0.91
        assert 1.09 < float(factors.max()) <= 1.1  # twice would reach 1.2
        remedy.remove()
        assert list(block._modules) == ["0", "1"]

    def test_a_branch_that_starts_at_zero_by_itself_is_left(self) -> None:
        """With a factor of zero beside weights of zero neither has a gradient, for good."""
        model = nn.Sequential(Sequences(), Sequences(), nn.Linear(4, 1))
        nn.init.zeros_(model[0].branch[2].weight)
        nn.init.zeros_(model[0].branch[2].bias)
        touched = apply("skip-init", model).touched[0]
        assert touched.names == ("1.branch",)
        assert next(iter(touched.left.values())) == ("0.branch",)
