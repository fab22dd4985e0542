"""Queries and keys normalised: against the formula written out."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import NothingToActOn, RemedyError
from bnprobe.remedies import apply


class Attention(nn.Module):
    """Causal attention of two heads, packed, as in many scripts."""

    def __init__(self, fused: bool = True) -> None:
        super().__init__()
        self.n_head, self.fused = 2, fused
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (one.view(*x.shape[:2], 2, 4).transpose(1, 2) for one in self.qkv(x).chunk(3, -1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        return self.out(y.transpose(1, 2).flatten(2))


def rms(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt()


def test_attention_of_a_script() -> None:
    torch.manual_seed(0)
    module, x = Attention().double(), torch.randn(3, 5, 8, dtype=torch.float64)
    q, k, v = (one.view(3, 5, 2, 4).transpose(1, 2) for one in module.qkv(x).chunk(3, -1))
    logits = (2.0 * rms(q) @ rms(k).transpose(-1, -2) / math.sqrt(4)).masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
    expected = module.out((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
    plain = module(x)
    with apply("qk-norm:gain=2", nn.ModuleList([module, nn.Linear(8, 2)])) as applied:
        assert applied.touched[0].names == ("0",)
        torch.testing.assert_close(module(x), expected)
        torch.testing.assert_close(copy.deepcopy(module)(x), expected)
    assert torch.equal(module(x), plain)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("settings", [{}, {"batch_first": True}, {"bias": False}, {"kdim": 6, "vdim": 5}])
def test_attention_of_torch(settings: dict[str, object], need_weights: bool) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, dtype=torch.float64, **settings)
    sizes = (8, settings.get("kdim", 8), settings.get("vdim", 8))
    given = [torch.randn(4, 3, size, dtype=torch.float64) for size in sizes]
    mask = torch.zeros(4, 4, dtype=torch.float64) if not module.batch_first else torch.zeros(3, 3, dtype=torch.float64)
    mask[0, 1] = -math.inf
    batch = [one if module.batch_first else one.transpose(0, 1) for one in given]
    separate = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    weights = module.in_proj_weight.chunk(3) if module._qkv_same_embed_dim else separate
    shifts = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    q, k, v = (F.linear(*one).unflatten(-1, (2, 4)).transpose(1, 2) for one in zip(batch, weights, shifts, strict=True))
    probabilities = (rms(q) @ rms(k).transpose(-1, -2) / 2 + mask).softmax(-1)
    expected = module.out_proj((probabilities @ v).transpose(1, 2).flatten(2))
    apply("qk-norm", nn.ModuleList([module, nn.Linear(8, 2)]))
    found, seen = module(*given, attn_mask=mask, need_weights=need_weights)
    torch.testing.assert_close(found if module.batch_first else found.transpose(0, 1), expected)
    if need_weights:
        torch.testing.assert_close(seen, probabilities.mean(1))
    found.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_an_encoder_computes_the_same_in_evaluation() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2)
    apply("qk-norm", encoder)
    with torch.no_grad():
        x = 30 * torch.randn(2, 5, 8)
        torch.testing.assert_close(encoder.eval()(x), encoder.train()(x))


class WrittenOut(nn.Module):
    """Attention of a script's own in one of many ways, on two heads."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.num_heads, self.way = 2, way
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))
        self.table = nn.Parameter(torch.randn(5, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (one(x).view(*x.shape[:2], 2, 4).transpose(1, 2) for one in (self.q, self.k, self.v))
        y = self.logits(q, k).softmax(-1) @ v
        return self.out(y.transpose(1, 2).flatten(2))

    def logits(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(5, 5).triu(1).bool()
        if self.way == "divided":
            return (q @ k.transpose(-1, -2) / math.sqrt(4)).masked_fill(mask, -math.inf)
        if self.way == "queries scaled":
            q = q * 4**-0.5
            return torch.matmul(q, k.mT).masked_fill_(mask, -math.inf)
        if self.way == "einsum":
            return torch.where(mask, -math.inf, torch.einsum("bhid, bhjd -> bhij", q, k) / torch.tensor(2.0))
        q, k = (one.flatten(0, 1) for one in (q, k))
        return torch.bmm(q, k.mT).mul(0.5).masked_fill(mask, -math.inf).unflatten(0, (-1, 2))

    def normalised(self, x: torch.Tensor, gain: float) -> torch.Tensor:
        q, k, v = (one(x).view(*x.shape[:2], 2, 4).transpose(1, 2) for one in (self.q, self.k, self.v))
        logits = (gain * rms(q) @ rms(k).mT / math.sqrt(4)).masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        return self.out((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("way", ["divided", "queries scaled", "einsum", "bmm"])
def test_attention_that_is_written_out(way: str) -> None:
    torch.manual_seed(0)
    module, x = WrittenOut(way).double(), torch.randn(3, 5, 8, dtype=torch.float64)
    plain, expected = module(x), module.normalised(x, 3.0)
    with apply("qk-norm:gain=3", nn.ModuleList([module, nn.Linear(8, 2)])) as applied:
        assert applied.touched[0].names == ("0",)
        torch.testing.assert_close(module(x), expected)
        with torch.no_grad():
            torch.testing.assert_close(module(x), expected)
        module(x).sum().backward()
    assert torch.equal(module(x), plain)


@pytest.mark.parametrize("name", ["h", "nh", "d_k", "head_size", "n_heads", "dim_head"])
def test_heads_are_known_by_the_names_that_scripts_give_them(name: str) -> None:
    """torch.fx cannot follow code that makes a mask of the size of its input: nothing else tells that this attends."""

    class Unpacking(WrittenOut):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            samples, places, width = x.shape
            q, k, v = (one(x).view(samples, places, 2, width // 2).transpose(1, 2) for one in (self.q, self.k, self.v))
            logits = (q @ k.mT / 2).masked_fill(torch.ones(places, places).triu(1).bool(), -math.inf)
            return self.out((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))

    torch.manual_seed(0)
    module, x = Unpacking("divided").double(), torch.randn(3, 5, 8, dtype=torch.float64)
    del module.num_heads
    setattr(module, name, 2)
    expected = module.normalised(x, 1.0)
    with apply("qk-norm", nn.ModuleList([module, nn.Linear(8, 2)])):
        torch.testing.assert_close(module(x), expected)


class SingleHead(nn.Module):
    """Attention of one head, which says so nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5, dim=-1) @ self.v(x)


def test_attention_of_one_head() -> None:
    torch.manual_seed(0)
    module, x = SingleHead(), torch.randn(2, 5, 8)
    expected = F.softmax(rms(module.q(x)) @ rms(module.k(x)).mT / 8**0.5, dim=-1) @ module.v(x)
    assert apply("qk-norm", nn.Sequential(module, nn.Linear(8, 2))).touched[0].names == ("0",)
    torch.testing.assert_close(module(x), expected)


class Experts(nn.Module):
    """A softmax of one layer weighs the outputs of others: no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 3), nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.gate(x).softmax(-1)[:, None] @ self.experts(x).view(-1, 3, 8)).squeeze(1)


def test_experts_are_no_attention() -> None:
    with pytest.raises(NothingToActOn, match="no module that calls"):
        apply("qk-norm", nn.Sequential(Experts(), nn.Linear(8, 2)))


class Gram(Attention):
    """Multiplies queries and keys a second time, for something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.mT).softmax(-1) @ v + (v @ k.mT).sum()


class Exponentials(Attention):
    """A softmax written out as well."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = (q @ k.mT).exp()
        return weights / weights.sum(-1, keepdim=True) @ v + 0 * v.softmax(-1)


@pytest.mark.parametrize("kind", [Gram, Exponentials])
def test_logits_that_cannot_be_told_are_refused(kind: type[Attention]) -> None:
    module = kind()
    apply("qk-norm", nn.ModuleList([module, nn.Linear(8, 2)]))
    with pytest.raises(RemedyError, match=f"'0', a {kind.__name__}, multiplies what its layers compute and takes no softmax of that"):
        module(torch.randn(1, 2, 8))


class SeveralTasks(nn.Module):
    """Heads of two tasks, which attend to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads = 2
        self.trunk, self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.trunk(x).relu()
        return self.a(hidden), self.b(hidden)


def test_heads_of_several_tasks_are_no_attention() -> None:
    with pytest.raises(NothingToActOn, match="no module that calls"):
        apply("qk-norm", SeveralTasks())
    model = nn.Sequential(Attention(), SeveralTasks())
    assert apply("qk-norm", model).touched[0].names == ("0",)
    model(torch.randn(1, 2, 8))


class Delegating(Attention):
    """Attention whose logits a method of its own gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(self.qkv(x))

    def mix(self, packed: torch.Tensor) -> torch.Tensor:
        q, k, v = packed.chunk(3, -1)
        return torch.einsum("bij,bjd->bid", torch.einsum("bid,bjd->bij", q, k).softmax(-1), v)


def test_an_attention_is_known_by_what_its_methods_do() -> None:
    torch.manual_seed(0)
    module, x = Delegating(), torch.randn(1, 2, 8)
    q, k, v = module.qkv(x).chunk(3, -1)
    assert apply("qk-norm", nn.ModuleList([module, nn.Linear(8, 2)])).touched[0].names == ("0",)
    torch.testing.assert_close(module(x), (rms(q) @ rms(k).mT).softmax(-1) @ v)


class WithoutANumber(nn.Module):
    """Attention of a script whose number of heads is a constant beside the class."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(100 * q, k, v).transpose(1, 2).flatten(2)


def test_an_attention_is_known_by_the_function_that_it_calls() -> None:
    torch.manual_seed(0)
    module, x = WithoutANumber(), torch.randn(2, 3, 8)
    applied = apply("qk-norm", nn.Sequential(module, nn.Linear(8, 2)))
    assert applied.touched[0].names == ("0",)
    before = module(x)
    with torch.no_grad():
        module.qkv.weight[:16] *= 7
        module.qkv.bias[:16] *= 7
    torch.testing.assert_close(module(x), before)  # whatever the size of queries and keys


def test_without_attention_there_is_nothing() -> None:
    with pytest.raises(NothingToActOn, match="no module that calls"):
        apply("qk-norm", nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))


def test_keys_of_its_own_are_refused() -> None:
    with pytest.raises(RemedyError, match="adds a key of its own"):
        apply("qk-norm", nn.ModuleList([nn.MultiheadAttention(4, 2, add_bias_kv=True)]))
