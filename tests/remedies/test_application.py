from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed
import torch.nn.functional as F
from torch import nn

import bnprobe.remedies
from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.catalogue import names
from bnprobe.remedies.remedy import Step
from tests.remedies.networks import Network, batch, network, state, train

#: All but those that need a network with normalisation, or with attention (test_of_attention).
NAMES = [name for name in names() if name not in ("no-norm", "deep-norm", "qk-norm")]
PARAMETRISED = ("msr-published", "weight-norm", "weight-standardisation", "spectral-norm", "spectral-norm:mean")


def sgd(model: nn.Module, **settings: float) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), **{"lr": 0.02, "momentum": 0.9, **settings})


class TestOptimizer:
    @pytest.mark.slow
    def test_one_built_later_is_recognised_at_its_first_step(self) -> None:
        model = network(dtype=torch.float64)
        apply("clip-norm:max=1e-3", model)
        before = model.first.weight.detach().clone()
        train(model, sgd(model), 1)
        assert 0 < (model.first.weight - before).norm() < 0.02 * 1e-3

    def test_one_built_before_works_the_same(self) -> None:
        first, second = network(), network()
        early = sgd(first)
        apply("clip-norm:max=0.01", first, early)
        apply("clip-norm:max=0.01", second)
        train(first, early, 3)
        train(second, sgd(second), 3)
        assert torch.equal(first.first.weight, second.first.weight)

    def test_one_for_another_model_is_left_alone(self) -> None:
        mine, other = network(), network()
        apply("clip-value:max=0", mine)
        before = state(other)
        train(other, sgd(other), 1)
        assert not torch.equal(before["first.weight"], other.first.weight)

    def test_two_share_a_model_and_each_edits_its_own_gradients_once(self) -> None:
        model, reference = network(dtype=torch.float64), network(dtype=torch.float64)
        apply("msr:w=0.5", model)
        reference.load_state_dict(model.state_dict())
        apply("msr:w=0.5,keep-weights", reference)
        parts = [list(model.block.parameters()), [p for n, p in model.named_parameters() if not n.startswith("block")]]
        both = [torch.optim.SGD(part, lr=0.1) for part in parts]
        images, labels = batch(dtype=torch.float64)
        F.cross_entropy(model(images), labels).backward()
        for optimizer in both:
            optimizer.step()
        train(reference, torch.optim.SGD(reference.parameters(), lr=0.1), 1)
        torch.testing.assert_close(model.block.conv1.weight, reference.block.conv1.weight)

    def test_a_step_that_calls_the_step_it_inherits_is_one_step(self) -> None:
        class Twice(torch.optim.SGD):
            def step(self, closure: object = None) -> None:  # type: ignore[override]
                super().step(closure)

        model, reference = network(dtype=torch.float64), network(dtype=torch.float64)
        apply("msr:w=0.5,keep-weights", model)
        apply("msr:w=0.5,keep-weights", reference)
        train(model, Twice(model.parameters(), lr=0.1), 2)
        train(reference, torch.optim.SGD(reference.parameters(), lr=0.1), 2)
        assert torch.equal(model.block.conv1.weight, reference.block.conv1.weight)

    @pytest.mark.parametrize("inherits", [True, False])
    def test_a_step_that_raised_leaves_the_next_one_its_remedies(self, inherits: bool) -> None:
        class Flaky(torch.optim.SGD):
            refuses = True

            def step(self, closure: object = None) -> None:  # type: ignore[override]
                if self.refuses:
                    raise RuntimeError("refused")
                super().step(closure) if inherits else None

        model = network()
        apply("clip-value:max=0.001", model)
        optimizer = Flaky(model.parameters(), lr=0.01)
        for refuses in (True, False, True, False):
            optimizer.refuses = refuses
            optimizer.zero_grad()
            images, labels = batch()
            F.cross_entropy(model(images), labels).backward()
            try:
                optimizer.step()
            except RuntimeError:
                assert refuses
            assert model.first.weight.grad is not None
            assert model.first.weight.grad.abs().max() <= 0.001

    def test_an_optimizer_without_a_hash_is_edited(self) -> None:
        class Equal(torch.optim.SGD):
            __hash__ = None  # type: ignore[assignment]

            def __eq__(self, other: object) -> bool:
                raise AssertionError("compared by value")

        model = network()
        apply("clip-value:max=0.001", model)
        train(model, Equal(model.parameters(), lr=0.01), 2)
        assert model.first.weight.grad is not None
        assert model.first.weight.grad.abs().max() <= 0.001

    def test_a_closure_that_is_asked_for_a_loss_alone_has_its_gradients_edited_once(self) -> None:
        class Search(torch.optim.SGD):
            def step(self, closure: Callable[..., object]) -> None:  # type: ignore[override]
                closure()
                closure(backward=False)

        model = network(dtype=torch.float64)
        applied = apply("clip-value", model)
        edits: list[Step] = []
        applied.remedies[0].before_step = edits.append  # type: ignore[method-assign]
        optimizer = Search(model.parameters(), lr=0.01)

        def closure(backward: bool = True) -> torch.Tensor:
            images, labels = batch(dtype=torch.float64)
            loss = F.cross_entropy(model(images), labels)
            if backward:
                optimizer.zero_grad()
                loss.backward()
            return loss

        optimizer.step(closure)
        optimizer.step(closure)
        assert len(edits) == 2

    def test_gradients_of_a_closure_are_edited_inside_it(self) -> None:
        model = network(dtype=torch.float64)
        apply("msr", model)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
        seen: list[float] = []

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch(dtype=torch.float64)[0]), batch()[1])
            loss.backward()
            seen.append(loss.item())
            return loss

        for _ in range(3):
            optimizer.step(closure)
        assert len(seen) > 3
        assert seen[-1] < seen[0]
        assert model.block.conv1.weight.mean((2, 3)).abs().max() < 1e-15

    def test_fused_gradients_are_clipped_on_their_true_scale(self) -> None:
        model, reference = network(), network()
        apply("clip-norm:max=0.05", model)
        apply("clip-norm:max=0.05", reference)
        train(reference, torch.optim.SGD(reference.parameters(), lr=1.0, fused=True), 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        images, labels = batch()
        scaler.scale(F.cross_entropy(model(images), labels)).backward()
        scaler.step(optimizer)
        torch.testing.assert_close(model.first.weight, reference.first.weight, rtol=1e-5, atol=1e-7)


class TestNewParameters:
    @pytest.mark.parametrize("remedy", ["weight-norm", "skip-init", "batch-norm:affine", "msr:scale", "spectral-norm:mean"])
    def test_an_optimizer_built_before_trains_them(self, remedy: str) -> None:
        early, late = network(), network()
        optimizer = sgd(early)
        torch.manual_seed(5)
        applied = apply(remedy, early, optimizer)
        torch.manual_seed(5)
        apply(remedy, late)
        assert applied.touched[0].added
        train(early, optimizer, 3)
        train(late, sgd(late), 3)
        for name, value in late.state_dict().items():
            torch.testing.assert_close(early.state_dict()[name], value, msg=name)

    def test_they_join_the_group_of_their_neighbour(self) -> None:
        model = network()
        optimizer = torch.optim.SGD(
            [{"params": list(model.block.named_parameters())}, {"params": list(model.classifier.named_parameters()), "lr": 1e-3}], lr=0.1
        )
        apply("msr:scale", network())  # another model's
        with pytest.raises(RemedyError, match=r"adds first\.scale, and the optimizer trains nothing beside it"):
            apply("msr:scale", model, optimizer)
        applied = apply("weight-norm:linear=no", model.block, optimizer)
        assert [len(group["params"]) for group in optimizer.param_groups] == [5, 2]
        assert optimizer.param_groups[0]["param_names"][-1] == applied.touched[0].added[-1].name

    def test_an_optimizer_that_has_begun_is_refused(self) -> None:
        model = network()
        optimizer = sgd(model)
        train(model, optimizer, 1)
        with pytest.raises(RemedyError, match="this SGD has state already") as caught:
            apply("weight-norm", model, optimizer)
        assert 'bnprobe.remedies.apply("weight-norm", model)' in str(caught.value.hint)
        assert list(model.state_dict()) == list(Network().state_dict())


class TestLife:
    @pytest.mark.parametrize("name", NAMES)
    def test_removal_leaves_the_structure_as_it_was(self, name: str) -> None:
        model, optimizer = network(), None
        with apply(name, model):
            optimizer = sgd(model, lr=1e-3)
            train(model, optimizer, 2)
        assert list(model.state_dict()) == list(Network().state_dict())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert type(model.first) is nn.Conv2d

    @pytest.mark.parametrize("name", [*NAMES, "msr:scale,noise", "batch-norm:affine", "spectral-norm:mean"])
    def test_training_goes_on_from_a_checkpoint_bit_for_bit(self, name: str) -> None:
        model = network()
        apply(name, model)
        optimizer = sgd(model, lr=1e-3)
        train(model, optimizer, 3)
        file = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        torch.manual_seed(9)
        expected = train(model, optimizer, 3)

        file.seek(0)
        checkpoint = torch.load(file, weights_only=True)
        again = network(seed=1)
        apply(name, again)
        resumed = sgd(again, lr=1e-3)
        again.load_state_dict(checkpoint["model"])
        resumed.load_state_dict(checkpoint["optimizer"])
        torch.manual_seed(9)
        assert train(again, resumed, 3) == expected

    @pytest.mark.parametrize("name", [name for name in NAMES if name not in PARAMETRISED])
    def test_models_still_pickle_and_copy(self, name: str) -> None:
        model = network()
        apply(name, model)
        images, _ = batch()
        for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            torch.manual_seed(3)
            expected = model(images)
            torch.manual_seed(3)
            assert torch.equal(twin(images), expected)

    @pytest.mark.parametrize("name", NAMES)
    def test_what_it_draws_leaves_the_scripts_own_draws_alone(self, name: str) -> None:
        model = network()
        torch.manual_seed(0)
        apply(name, model)
        drawn = torch.rand(3)
        torch.manual_seed(0)
        assert torch.equal(drawn, torch.rand(3))

    def test_several_act_in_their_order(self) -> None:
        model = network(dtype=torch.float64)
        applied = apply(["gradient-centralisation", "clip-norm:max=0.01"], model)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        train(model, optimizer, 1)
        moved = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
        assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)  # clipped last, so exactly at the limit
        assert [entry["name"] for entry in applied.record()] == ["gradient-centralisation", "clip-norm"]

    def test_frozen_parameters_are_left_alone(self) -> None:
        model = network()
        model.block.conv1.requires_grad_(False)
        frozen = model.block.conv1.weight.detach().clone()
        applied = apply("msr", model)
        assert applied.touched[0].names == ("first", "block.conv2", "narrow")
        assert torch.equal(model.block.conv1.weight, frozen)

    def test_the_record_says_what_was_done(self) -> None:
        entry = apply("msr:w=0.99", network()).record()[0]
        assert entry["specification"] == "msr:w=0.99"
        assert entry["settings"]["gain"] == "1"
        assert (entry["count"], entry["what"]) == (4, "convolution kernels")
        assert entry["touched"] == ["first", "block.conv1", "block.conv2", "narrow"]

    def test_the_package_exports_the_call(self) -> None:
        assert bnprobe.remedies.apply is apply
        with pytest.raises(AttributeError, match="no attribute 'aply'"):
            bnprobe.remedies.aply  # noqa: B018

    def test_lazy_layers_are_refused(self) -> None:
        model = nn.Sequential(nn.LazyConv2d(3, 3), nn.ReLU())
        with pytest.raises(RemedyError, match="'0' is lazy") as caught:
            apply("msr", model)
        assert "run one forward pass" in str(caught.value.hint)


@pytest.fixture
def process_group(tmp_path: object) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


class TestWrappers:
    def test_before_distributed_data_parallel_it_works(self, process_group: None) -> None:
        model, reference = network(), network()
        torch.manual_seed(4)
        apply("msr", model)
        torch.manual_seed(4)
        apply("msr", reference)
        wrapped = nn.parallel.DistributedDataParallel(model)
        train(wrapped, sgd(wrapped), 3)
        train(reference, sgd(reference), 3)
        torch.testing.assert_close(model.block.conv1.weight, reference.block.conv1.weight)
        assert model.block.conv1.weight.mean((2, 3)).abs().max() < 1e-7

    @pytest.mark.parametrize("name", ["msr", "batch-norm", "weight-norm"])
    def test_after_it_only_gradients_may_change(self, process_group: None, name: str) -> None:
        wrapped = nn.parallel.DistributedDataParallel(network())
        with pytest.raises(RemedyError, match=f"{name} changes the model, and DistributedDataParallel has fixed it") as caught:
            apply(name, wrapped)
        assert f'bnprobe.remedies.apply("{name}", model)' in str(caught.value.hint)
        apply(["msr:keep-weights", "agc", "clip-norm", "gradient-centralisation"], wrapped)
        train(wrapped, sgd(wrapped), 2)

    @pytest.mark.slow
    def test_after_compiling_structure_is_fixed_and_values_are_not(self) -> None:
        model = torch.compile(network(), backend="eager")
        assert isinstance(model, nn.Module)
        with pytest.raises(RemedyError, match=r"torch\.compile has fixed it"):
            apply("batch-norm", model)
        apply("msr", model)

    @pytest.mark.slow
    def test_before_compiling_all_work(self) -> None:
        model, reference = network(), network()
        for each in (model, reference):
            torch.manual_seed(4)
            apply(["msr", "batch-norm", "dropout:p=0"], each)
        train(torch.compile(model, backend="eager"), sgd(model), 3)  # type: ignore[arg-type]
        train(reference, sgd(reference), 3)
        torch.testing.assert_close(model.block.conv1.weight, reference.block.conv1.weight)
