"""Fixup and DeepNorm: starts and sums against their papers' formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import NothingToActOn, RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.deep_norm import PACKED
from bnprobe.remedies.fixup import LAST_FROZEN, OTHER_KIND, UNSEEN
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.skip_init import OFF
from tests.remedies.networks import network
from tests.remedies.trainings import Residual


class TestFixup:
    def test_the_start(self) -> None:
        torch.manual_seed(0)
        model = Residual()  # three branches of two convolutions: 3^(-1/2)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        applied = apply("fixup", model)
        after = dict(model.named_parameters())
        for number in range(3):
            torch.testing.assert_close(after[f"blocks.{number}.conv1.weight"], before[f"blocks.{number}.conv1.weight"] * 3**-0.5)
            assert not after[f"blocks.{number}.conv2.weight"].any()
        assert not after["fc.weight"].any()
        assert not after["fc.bias"].any()
        assert torch.equal(after["stem.weight"], before["stem.weight"])
        # Of each branch: two activations, two convolutions, one factor.
        assert len(applied.touched[0].added) == 3 * 5
        x = torch.randn(2, 3, 8, 8)
        assert torch.equal(model.blocks(model.stem(x)), model.stem(x))

    def test_shifts_and_factors_act_and_are_learned(self) -> None:
        torch.manual_seed(0)
        model = network(dtype=torch.float64)
        apply("fixup:keep-weights", model)
        block, x = model.block, torch.randn(2, 4, 6, 6, dtype=torch.float64)
        values = [0.3, -0.2, 0.5, 0.1]
        with torch.no_grad():
            for module, value in zip((block.relu1, block.conv1, block.relu2, block.conv2), values, strict=True):
                module.added_shift.shift.fill_(value)
            block.conv2.added_branch_factor.factor.fill_(0.7)
        y = F.conv2d(F.relu(x + 0.3) - 0.2, block.conv1.weight, block.conv1.bias, padding=1)
        y = F.conv2d(F.relu(y + 0.5) + 0.1, block.conv2.weight, padding=1)
        torch.testing.assert_close(block(x), x + 0.7 * y)
        model(torch.randn(2, 3, 6, 6, dtype=torch.float64)).sum().backward()
        assert all(p.grad is not None for name, p in model.named_parameters() if "added" in name)

    def test_it_learns_from_zero(self) -> None:
        torch.manual_seed(0)
        model, x = Residual(), torch.randn(64, 3, 8, 8)
        labels = (x.mean((1, 2, 3)) > 0).long()
        apply("fixup", model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(80):
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.5 * losses[0]

    def test_removal_leaves_the_structure(self) -> None:
        model = Residual()
        names = list(model.state_dict())
        apply("fixup", model).remove()
        assert list(model.state_dict()) == names

    def test_a_network_that_normalises_is_refused(self) -> None:
        encoder = nn.TransformerEncoderLayer(8, 2, 16)
        with pytest.raises(NothingToActOn, match="normalises already") as caught:
            apply("fixup", encoder)
        assert "no-norm" in str(caught.value.hint)
        apply(["no-norm", "fixup"], encoder)

    def test_loaded_weights_are_not_destroyed(self) -> None:
        model = Residual()
        with pytest.raises(RemedyError, match="weights were loaded") as caught:
            apply_to_loaded("fixup", model)
        assert "fixup:keep-weights" in str(caught.value.hint)


def apply_to_loaded(remedy: str, model: nn.Module) -> None:
    from bnprobe.remedies.application import Applied
    from bnprobe.remedies.specification import parse_all

    Applied(parse_all(remedy), Scope([model], loaded=[model]))

    def test_the_classifier_is_what_gives_the_answer_wherever_it_stands(self) -> None:
        class Turned(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head, self.blocks, self.embed = nn.Linear(8, 3), nn.Sequential(TwoLayers(), TwoLayers()), nn.Linear(5, 8)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.head(self.blocks(self.embed(x)))

        model = Turned()
        embedding = model.embed.weight.detach().clone()
        apply("fixup", model)
        assert not model.head.weight.any()
        assert torch.equal(model.embed.weight, embedding)

    def test_a_classifier_that_is_not_seen_is_left_and_named(self) -> None:
        class Branching(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.block, self.head = TwoLayers(), nn.Linear(8, 3)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.head(self.block(x)) if x.sum() > 0 else self.head(x)

        model = Branching()
        applied = apply("fixup", model)
        assert model.head.weight.any()
        assert applied.touched[0].left[UNSEEN] == ("Branching",)

    def test_a_branch_whose_last_weight_is_frozen_is_left(self) -> None:
        model = nn.Sequential(TwoLayers(), TwoLayers(), nn.Linear(8, 1))
        model[0].o.requires_grad_(False)
        before = model[0].a.weight.detach().clone()
        applied = apply("fixup", model)
        assert applied.touched[0].names == ("1.o",)
        assert applied.touched[0].left[LAST_FROZEN] == ("0.o",)
        assert torch.equal(model[0].a.weight, before)

    def test_a_branch_with_a_layer_of_another_kind_is_not_called_frozen(self) -> None:
        applied = apply("fixup", nn.Sequential(WithGRU(), TwoLayers(), nn.Linear(8, 1)))
        assert applied.touched[0].left[OTHER_KIND] == ("0.o",)
        with pytest.raises(NothingToActOn, match=r"neither a convolution nor linear nor torch's attention, as '0.o'"):
            apply("fixup", nn.Sequential(WithGRU(), nn.Linear(8, 1)))
        with pytest.raises(NothingToActOn, match=r"is frozen, as '0.o'"):
            apply("fixup", nn.Sequential(TwoLayers().requires_grad_(False), nn.Linear(8, 1)))


class TwoLayers(nn.Module):
    """x + O relu(A x)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.o(F.relu(self.a(x)))


class WithGRU(nn.Module):
    """x + O gru(A x)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gru, self.o = nn.Linear(8, 8), nn.GRU(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.o(self.gru(self.a(x))[0])


class OwnAttention(nn.Module):
    """Attention of four layers, by torch's function or written out."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.n_heads, self.fused = 1, fused
        self.q, self.k, self.v, self.o = (nn.Linear(64, 64) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fused:
            return self.o(F.scaled_dot_product_attention(self.q(x), self.k(x), value=self.v(x)))
        return self.o((self.q(x) @ self.k(x).transpose(-1, -2) / 8).softmax(-1) @ self.v(x))


class Attending(nn.Module):
    """LN(x + attention(x)), then LN(x + f(x))."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.attention, self.norm1, self.norm2 = OwnAttention(fused), nn.LayerNorm(64), nn.LayerNorm(64)
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.f(x))


class ZeroedThenNormalised(nn.Module):
    """x + norm(F x), F zero at the start."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.f, self.norm = nn.Linear(8, 8), norm
        nn.init.zeros_(self.f.weight)
        nn.init.zeros_(self.f.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.norm(self.f(x))


class TestSkipInit:
    @pytest.mark.parametrize("norm", [nn.LayerNorm(8), nn.BatchNorm1d(8), nn.LayerNorm(8, elementwise_affine=False)])
    def test_a_branch_of_zeros_that_is_normalised_is_left(self, norm: nn.Module) -> None:
        applied = apply("skip-init", nn.Sequential(ZeroedThenNormalised(norm), TwoLayers(), nn.Linear(8, 1)))
        assert applied.touched[0].names == ("1.o",)
        assert applied.touched[0].left[OFF] == ("0.norm",)

    def test_a_norm_with_a_shift_gives_no_zeros(self) -> None:
        norm = nn.LayerNorm(8)
        nn.init.ones_(norm.bias)
        applied = apply("skip-init", nn.Sequential(ZeroedThenNormalised(norm), nn.Linear(8, 1)))
        assert applied.touched[0].names == ("0.norm",)

    def test_a_norm_behind_weights_gives_no_zeros(self) -> None:
        block = ZeroedThenNormalised(nn.LayerNorm(8))
        nn.init.ones_(block.f.weight)
        assert apply("skip-init", nn.Sequential(block, nn.Linear(8, 1))).touched[0].names == ("0.norm",)


@pytest.mark.parametrize(
    ("at", "returns"), [("0.f", True), ("blocks.0.f", True), ("blocks.10.f", False), ("0.ff", False), ("f", False), ("", False)]
)
def test_a_checkpoint_of_a_part_names_modules_by_their_last_names(at: str, returns: bool) -> None:
    scope = Scope([nn.Linear(2, 2)], returning=("0.f.added_branch_factor.factor", "1.weight"))
    assert scope.returns("added_branch_factor")
    assert scope.returns_at("added_branch_factor", at) is returns


class TestDeepNorm:
    @pytest.mark.parametrize("causal", [False, True])
    def test_encoder_and_decoder(self, causal: bool) -> None:
        """Four layers and two: a and b of both by the paper's table."""
        torch.manual_seed(0)
        model = nn.Transformer(64, 4, 4, 2, 128, dropout=0.0, batch_first=True)
        apply("deep-norm", model)
        both = (4**4 * 2) ** (1 / 16)
        for layers, a, b in (
            (model.encoder.layers, 0.81 * both, 0.87 / both),
            (model.decoder.layers, 6**0.25, 24**-0.25),
        ):
            for layer in layers:
                for weight in (
                    layer.linear1.weight,
                    layer.linear2.weight,
                    layer.self_attn.in_proj_weight[128:],
                    layer.self_attn.out_proj.weight,
                ):
                    assert float(weight.detach().std()) == pytest.approx(b * (2 / sum(weight.shape)) ** 0.5, rel=0.05)
                assert float(layer.self_attn.in_proj_weight[:64].detach().std()) == pytest.approx((1 / 64) ** 0.5, rel=0.05)
                assert float(layer.dropout1.added_branch_factor.factor) == pytest.approx(1 / a)
        layer, x, memory = model.decoder.layers[0], torch.randn(2, 5, 64), torch.randn(2, 3, 64)
        mask = nn.Transformer.generate_square_subsequent_mask(5) if causal else None
        a, norm = 6**0.25, lambda one, y: F.layer_norm(y, (64,), one.weight, one.bias, 1e-5)
        y = norm(layer.norm1, a * x + layer.self_attn(x, x, x, attn_mask=mask)[0])
        y = norm(layer.norm2, a * y + layer.multihead_attn(y, memory, memory)[0])
        y = norm(layer.norm3, a * y + layer.linear2(F.relu(layer.linear1(y))))
        torch.testing.assert_close(layer(x, memory, tgt_mask=mask), y)

    def test_a_block_of_the_scripts_own(self) -> None:
        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.f, self.norm = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)), nn.LayerNorm(8)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.norm(x + self.f(x))

        torch.manual_seed(0)
        model = nn.Sequential(*(Block() for _ in range(8)), nn.Linear(8, 2)).double()
        apply("deep-norm", model)
        block, x = model[3], torch.randn(4, 8, dtype=torch.float64)
        branch = block.f[2](F.relu(block.f[0](x)))
        torch.testing.assert_close(block(x), F.layer_norm(2.0 * x + branch, (8,), eps=1e-5))  # (2 * 8)^(1/4)

    @pytest.mark.parametrize("fused", [False, True])
    def test_queries_and_keys_of_the_scripts_own_attention_have_gain_1(self, fused: bool) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(*(Attending(fused) for _ in range(4)), nn.Linear(64, 3))
        applied = apply("deep-norm", model)
        gain, xavier = 32**-0.25, (2 / 128) ** 0.5  # (8 * 4)^(-1/4)
        found = {name: float(getattr(model[0].attention, name).weight.detach().std()) / xavier for name in "qkvo"}
        assert found == pytest.approx({"q": 1.0, "k": 1.0, "v": gain, "o": gain}, rel=0.05)
        assert not applied.touched[0].left[PACKED]

    def test_a_packed_layer_of_the_scripts_own_attention_is_left_and_named(self) -> None:
        class Packed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.qkv, self.o = nn.Linear(64, 192), nn.Linear(64, 64)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                q, k, v = self.qkv(x).chunk(3, -1)
                return self.o(F.scaled_dot_product_attention(q, k, v))

        block = Attending(True)
        block.attention = Packed()  # type: ignore[assignment]
        before = block.attention.qkv.weight.detach().clone()
        applied = apply("deep-norm", nn.Sequential(block, nn.Linear(64, 3)))
        assert torch.equal(block.attention.qkv.weight, before)
        assert applied.touched[0].left[PACKED] == ("0.attention.qkv",)
        assert float(block.attention.o.weight.detach().std()) == pytest.approx(8**-0.25 / 8, rel=0.05)

    def test_norms_ahead_are_refused(self) -> None:
        with pytest.raises(NothingToActOn, match=r"LN\(x \+ f\(x\)\)"):
            apply("deep-norm", nn.TransformerEncoderLayer(8, 2, 16, norm_first=True))

    def test_removal_gives_eps_back(self) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16)
        applied = apply("deep-norm", layer)
        assert layer.norm1.eps < 1e-5
        applied.remove()
        assert layer.norm1.eps == 1e-5

    def test_loaded_weights_are_not_destroyed(self) -> None:
        with pytest.raises(RemedyError, match="deep-norm sets the weights anew"):
            apply_to_loaded("deep-norm", nn.TransformerEncoderLayer(8, 2, 16))


def test_the_branches_of_torchs_layers() -> None:
    layer = nn.TransformerDecoderLayer(8, 2, 16)
    found = residual_branches(Scope([layer]))
    assert [one.last_name for one in found] == ["dropout1", "dropout2", "dropout3"]
    assert [one.norm for one in found] == [layer.norm1, layer.norm2, layer.norm3]
    assert all(one.norm is None for one in residual_branches(Scope([nn.TransformerEncoderLayer(8, 2, 16, norm_first=True)])))
