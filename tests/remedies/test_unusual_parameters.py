"""Sparse and complex gradients, layers that start at zero, and scales beside matrices that Muon trains."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply


def stepped(parameters: list[nn.Parameter]) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.1)


class TestSparse:
    """Against the same network with a dense gradient; an index that occurs twice must count as one row."""

    @pytest.mark.parametrize("remedy", ["clip-norm:max=0.01", "clip-value:max=0.001", "agc:last"])
    def test_moves_as_the_dense_one(self, remedy: str) -> None:
        moved = []
        for sparse in (True, False):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Embedding(20, 4, sparse=sparse), nn.Flatten(), nn.Linear(8, 2)).double()
            apply(remedy, model)
            optimizer = stepped(list(model.parameters()))
            before = model[0].weight.detach().clone()
            for _ in range(2):
                optimizer.zero_grad()
                (F.cross_entropy(model(torch.tensor([[3, 3], [5, 7]])), torch.tensor([0, 1])) * 100).backward()
                optimizer.step()
            moved.append(model[0].weight.detach() - before)
        torch.testing.assert_close(*moved)
        assert moved[0].abs().max() > 0


class TestComplex:
    @pytest.mark.parametrize("remedy", ["clip-norm:max=0.01", "clip-value:max=0.001", "agc:last"])
    def test_moves_as_its_real_and_imaginary_parts(self, remedy: str) -> None:
        torch.manual_seed(0)
        start = torch.randn(5, 2, dtype=torch.float64)
        moved = []
        for is_complex in (True, False):
            owner = nn.Module()
            owner.w = nn.Parameter(torch.view_as_complex(start.clone()) if is_complex else start.flatten().clone())  # type: ignore[assignment]
            apply(remedy, owner)
            optimizer = stepped([owner.w])
            parts = torch.view_as_real(owner.w) if is_complex else owner.w.view(5, 2)
            (parts * torch.arange(10.0, dtype=torch.float64).view(5, 2)).sum().backward()
            optimizer.step()
            moved.append((torch.view_as_real(owner.w.detach()) if is_complex else owner.w.detach().view(5, 2)) - start)
        torch.testing.assert_close(*moved)
        assert moved[0].abs().max() > 0


@pytest.mark.parametrize("remedy", ["spectral-norm", "weight-norm"])
def test_a_layer_that_starts_at_zero_is_left_and_named(remedy: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.zeros_(model[2].weight)
    entry = apply(remedy, model).record()[0]
    assert (entry["touched"], list(entry["left"].values())) == (["0"], [["2"]])
    optimizer = stepped(list(model.parameters()))
    for _ in range(3):
        model(torch.randn(8, 3)).sub(1).square().mean().backward()
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())


class TestMuon:
    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    @pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch 2.9 has it first")
    def test_alone_it_is_refused(self) -> None:
        model = self.model()
        optimizer = torch.optim.Muon([p for p in model.parameters() if p.dim() == 2])
        with pytest.raises(RemedyError, match=r"adds 2 scales or shifts, .*original0 the first, and Muon trains matrices alone"):
            apply("weight-norm", model, optimizer)

    def test_vectors_go_into_the_group_that_is_not_orthogonal(self) -> None:
        model = self.model()
        groups = [
            {"params": [p for p in model.parameters() if p.dim() == 2], "use_muon": True},
            {"params": [p for p in model.parameters() if p.dim() == 1], "use_muon": False},
        ]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        apply("weight-norm", model, optimizer)
        assert [len(group["params"]) for group in optimizer.param_groups] == [2, 4]
