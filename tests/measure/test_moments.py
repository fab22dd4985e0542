"""The moments against float64 numpy, where the mean dwarfs the spread, for every layout, dtype and path.

Tolerances are in units of float32 rounding, eps = 2^-24. Averaging values of size m gives a mean with an error of a few eps m; a two-pass
variance around a mean that is off by d is off by d^2, and by the rounding of its own sum. The compiled kernel sums in float64 from block to
block; torch's kernel sums plainly in float32, where the error grows with the number of values.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bnprobe.measure import fused
from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST, Layout
from bnprobe.measure.merge import merge
from bnprobe.measure.moments import Moments, energies, moments

EPS = 2.0**-24
MEAN_ROUNDINGS = 8
#: By path: roundings of the variance's sum, and of the mean inside the kernel that computes the variance.
VARIANCE_ROUNDINGS = {"compiled": 32, "torch": 1024}
INNER_MEAN_ROUNDINGS = {"compiled": 8, "torch": 32}
NAMES = ("low", "high", "zeros", "nonfinite", "common", "between_energy", "variance_energy", "dead")


def measured(x, layout):
    """The moments as a dict of float64 arrays and numbers."""
    found = moments(x, layout)
    packed = np.asarray(found.packed, dtype=np.float64)
    mean, variance, between = packed[: 3 * found.channels].reshape(3, -1)
    return {
        "samples": found.samples, "positions": found.positions, "mean": mean, "variance": variance, "between": between,
        **dict(zip(NAMES, packed[3 * found.channels :], strict=True)),
    }  # fmt: skip


def expected(x, layout):
    """The same in float64 numpy, by the definitions."""
    x = x.detach().double().numpy() if isinstance(x, torch.Tensor) else x
    if x.ndim == 1:
        x = x[:, None, None]
    elif x.ndim == 2:
        x = x[:, :, None]
    else:
        x = np.moveaxis(x, (layout.sample, layout.channel % x.ndim), (0, 1))
        x = x.reshape(x.shape[0], x.shape[1], -1)
    sample_means = x.mean(2)
    mean, variance, between = x.mean((0, 2)), x.var((0, 2)), sample_means.var(0)
    return {
        "samples": x.shape[0], "positions": x.shape[2], "mean": mean, "variance": variance, "between": between,
        "low": x.min(), "high": x.max(), "zeros": float((x == 0).sum()), "nonfinite": 0.0, "common": (mean**2).mean(),
        "between_energy": between.mean(), "variance_energy": variance.mean(), "dead": (np.abs(x).max((0, 2)) == 0).mean(),
        "square": (x**2).mean(),
    }  # fmt: skip


def is_compiled(x, layout):
    return x.dtype == torch.float32 and fused.available() and fused.plan(tuple(x.shape), x.stride(), layout) is not None


def agree(x, layout):
    """Compare all that is measured of ``x`` with float64."""
    found, right = measured(x, layout), expected(x, layout)
    for exact in ("samples", "positions", "low", "high", "zeros", "nonfinite", "dead"):
        assert found[exact] == right[exact], exact
    size = max(abs(right["low"]), abs(right["high"]))
    assert np.abs(found["mean"] - right["mean"]).max() <= MEAN_ROUNDINGS * EPS * size
    way = "compiled" if is_compiled(x, layout) else "torch"
    slip = INNER_MEAN_ROUNDINGS[way] * EPS * size
    for part in ("variance", "between"):
        error = np.abs(found[part] - right[part])
        # Deviations from a mean that is off by the slip; sample means that are off by it each.
        allowed = VARIANCE_ROUNDINGS[way] * EPS * right["variance"] + slip**2 + 2 * slip * np.sqrt(right[part]) * (part == "between")
        assert (error <= allowed).all(), (part, (error / allowed).max())
    assert (found["between"] >= 0).all()
    assert (found["variance"] >= found["between"] * (1 - 4 * EPS)).all()
    assert found["common"] == pytest.approx(float((found["mean"] ** 2).mean()), rel=1e-12)
    assert found["between_energy"] == pytest.approx(float(found["between"].mean()), rel=1e-12)
    assert found["variance_energy"] == pytest.approx(float(found["variance"].mean()), rel=1e-12)
    # A + B + W is the mean square, exactly but for rounding.
    split = found["common"] + found["between_energy"] + (found["variance_energy"] - found["between_energy"])
    assert split == pytest.approx(
        right["square"], rel=2 * MEAN_ROUNDINGS * EPS * size / math.sqrt(right["square"] or 1) + VARIANCE_ROUNDINGS[way] * EPS
    )
    return found


SHAPES = {
    "NCHW": ((6, 5, 7, 9), CHANNELS_FIRST),
    "NCHW, few positions": ((32, 16, 2, 2), CHANNELS_FIRST),
    "NCHW, 1x1": ((8, 4, 1, 1), CHANNELS_FIRST),
    "NCHW, one sample": ((1, 5, 8, 8), CHANNELS_FIRST),
    "NCHW, one channel": ((9, 1, 6, 6), CHANNELS_FIRST),
    "NCHW, large": ((16, 12, 40, 40), CHANNELS_FIRST),
    "NCL": ((4, 6, 50), CHANNELS_FIRST),
    "NCDHW": ((3, 4, 2, 5, 6), CHANNELS_FIRST),
    "NTC": ((4, 33, 17), CHANNELS_LAST),
    "NHWC": ((3, 6, 5, 19), CHANNELS_LAST),
    "TNC": ((21, 4, 10), TIME_FIRST),
    "NC": ((64, 10), CHANNELS_FIRST),
    "NC, one sample": ((1, 10), CHANNELS_FIRST),
    "NC, one channel": ((50, 1), CHANNELS_FIRST),
    "N": ((40,), CHANNELS_FIRST),
    "one value": ((1,), CHANNELS_FIRST),
}


def signal(shape, ratio, dtype=torch.float32, seed=0):
    """Values with a standard deviation of about 1 around a mean that differs by channel, both between and within samples."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if len(shape) > 2:
        x += rng.normal(size=(shape[0], *(1 for _ in shape[1:-1]), shape[-1]))
    return torch.from_numpy(x + ratio).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e2, -1e2, 1e4])
@pytest.mark.parametrize(("shape", "layout"), SHAPES.values(), ids=SHAPES.keys())
def test_against_float64(path, shape, layout, ratio, dtype):
    agree(signal(shape, ratio, dtype), layout)


MEMORY = {
    "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "transposed positions": lambda x: x.transpose(2, 3),
    "every other channel": lambda x: x[:, ::2],
    "every other row": lambda x: x[:, :, ::2],
    "every other column": lambda x: x[..., ::2],
    "a window": lambda x: x[:, :, 1:5, 2:6],
    "a slice of samples": lambda x: x[2:5],
    "channels and samples exchanged": lambda x: x.transpose(0, 1),
    "expanded samples": lambda x: x[:1].expand(6, -1, -1, -1),
    "expanded positions": lambda x: x[..., :1].expand(-1, -1, -1, 9),
    "flipped memory": lambda x: x.permute(3, 1, 0, 2),
    "an offset": lambda x: torch.cat([torch.zeros(1), x.flatten()])[1:].view(x.shape),
}


@pytest.mark.parametrize("ratio", [1.0, 1e4])
@pytest.mark.parametrize("view", MEMORY.values(), ids=MEMORY.keys())
def test_any_memory(path, view, ratio):
    x = view(signal((6, 8, 7, 9), ratio))
    before = x.clone()
    agree(x, CHANNELS_FIRST)
    agree(x, Layout(channel=-1))
    agree(x, Layout(channel=-1, sample=1))
    assert torch.equal(x, before)


@pytest.mark.parametrize("layout", [CHANNELS_LAST, TIME_FIRST])
def test_views_of_sequences(path, layout):
    x = signal((12, 20, 30), 100.0)
    for view in (x.transpose(0, 1), x[:, :, 3:19], x[:, ::3], x[..., 0:1], x.transpose(1, 2), x.unsqueeze(2)):
        agree(view, layout)


def test_what_requires_a_gradient_is_measured_without_one(path):
    x = signal((4, 3, 5, 5), 1.0).requires_grad_()
    assert not isinstance(moments(x * 2, CHANNELS_FIRST).packed, torch.Tensor) or not moments(x * 2, CHANNELS_FIRST).packed.requires_grad


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 3, 4), (4, 0, 3), (4, 3, 0)])
@pytest.mark.parametrize("layout", [CHANNELS_FIRST, CHANNELS_LAST])
def test_a_signal_without_elements_is_refused(path, shape, layout):
    x = torch.zeros(shape)
    assert fused.plan(tuple(x.shape), x.stride(), layout) is None
    with pytest.raises(ValueError, match="without elements"):
        moments(x, layout)


def test_a_signal_that_is_constant_in_space_has_no_energy_within(path):
    values = signal((16, 8), 3.0)
    found = agree(values[:, :, None, None].expand(-1, -1, 6, 6).contiguous(), CHANNELS_FIRST)
    assert found["variance_energy"] - found["between_energy"] <= 32 * EPS * found["between_energy"]


def test_a_signal_that_is_the_same_in_every_sample_has_no_energy_between(path):
    values = signal((1, 8, 6, 6), 3.0)
    found = agree(values.expand(16, -1, -1, -1).contiguous(), CHANNELS_FIRST)
    assert found["between_energy"] <= (MEAN_ROUNDINGS * EPS * 8) ** 2


def test_a_quiet_channel_beside_a_loud_one(path):
    """How a channel is measured depends on its own mean and variance, not on those of the others."""
    x = torch.full((2, 2, 3, 5), -1397.0)
    x[0, 0, 0, 0], x[0, 1, 0, 0] = 1894.0, -914.0
    agree(x, CHANNELS_FIRST)


@pytest.mark.parametrize("constant", [0.0, 1.0, -3e4, 1e-20, 0.1, 2e38, -3.4e38])
def test_a_constant(path, constant):
    found = measured(torch.full((5, 4, 6, 6), constant), CHANNELS_FIRST)
    assert found["variance"].max() <= (INNER_MEAN_ROUNDINGS[path] * EPS * constant) ** 2
    assert found["mean"] == pytest.approx(np.full(4, np.float32(constant)), rel=MEAN_ROUNDINGS * EPS)
    assert (found["dead"], found["nonfinite"]) == (constant == 0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-18, 1e15, 1e19, 1e30, 1e37])
@pytest.mark.parametrize(("shape", "layout"), [((6, 5, 7, 9), CHANNELS_FIRST), ((4, 33, 17), CHANNELS_LAST), ((64, 10), CHANNELS_FIRST)])
def test_squares_beyond_the_range_of_float32(path, shape, layout, scale, dtype):
    """A vanished gradient is small, not zero; an exploding one is large, not infinite."""
    x = (signal(shape, 1.0, torch.float64) * scale).to(dtype)
    found, right = measured(x, layout), expected(x, layout)
    for part in ("mean", "variance", "between"):
        size = abs(right["high"]) if part == "mean" else right["variance"].max()
        assert np.abs(found[part] - right[part]).max() <= 128 * EPS * size, part
    assert found["common"] == pytest.approx(right["common"], rel=1e-5)
    assert (found["low"], found["high"], found["nonfinite"], found["dead"]) == (right["low"], right["high"], 0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e-9, 1.0, 1e9, 1e15, 1e30])
@pytest.mark.parametrize(("shape", "layout"), [shape for shape in SHAPES.values() if len(shape[0]) > 1])
def test_energies_alone_are_those_of_all_moments(shape, layout, scale, dtype):
    x = (signal(shape, 1.0, torch.float64) * scale).to(dtype).requires_grad_()
    right = expected(x, layout)
    assert energies(x, layout) == pytest.approx((right["common"], right["square"]), rel=1e-5, abs=0.0)


@pytest.mark.skipif(not fused.available(), reason="built without a C compiler")
@pytest.mark.parametrize("channels", [1, 7, 8, 9, 19], ids="{} channels".format)
@pytest.mark.parametrize("positions", [1, 3, 15, 16, 17, 49, 63, 64, 65, 196, 255, 256, 257, 1024, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("leap", [0.0, 1e2, 1e4])
def test_rows_of_any_length_whose_shift_is_far_from_their_mean(channels, positions, leap):
    """Deviations are taken from the mean of some values of each quarter; what that costs grows with its distance from the mean."""
    x = signal((3, channels, positions), 1.0)
    for quarter in range(4):
        begin = quarter * (min(positions, 2048) // 4)
        x[:, :, begin : begin + 16 if positions >= 128 else begin + 1] += leap
    found, right = measured(x, CHANNELS_FIRST), expected(x, CHANNELS_FIRST)
    amplification = 1.0 + min(positions, 2048) / 64.0
    assert np.abs(found["mean"] - right["mean"]).max() <= MEAN_ROUNDINGS * EPS * max(-right["low"], right["high"])
    assert found["variance"] == pytest.approx(right["variance"], rel=8 * amplification * EPS)
    assert (found["low"], found["high"], found["zeros"]) == (right["low"], right["high"], 0.0)


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("channels", [1, 9, 16])
@pytest.mark.parametrize("positions", [1, 7, 8, 31, 49, 64, 100, 256, 300, 2048, 2049])
def test_rows_are_read_alike_with_vectors_of_any_width(width, channels, positions):
    """Which width is used depends on the processor, and only one of them serves this one."""
    read = getattr(fused._library(), f"bnprobe_rows_of_{width}", None)
    if read is None or (width == 16 and "avx512f" not in Path("/proc/cpuinfo").read_text()):
        pytest.skip("not compiled for this kind of processor")
    check_rows(read, channels, positions)


def test_rows_are_read_alike_where_the_processor_is_not_asked(tmp_path):
    """As on all systems but Linux on x86-64, whose build this is for vectors of one width."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no compiler")
    source, library = fused.LIBRARY.with_name("fused.c"), tmp_path / "fused.so"
    subprocess.run([compiler, "-O1", "-w", "-U__linux__", "-fPIC", "-shared", source, "-o", library], check=True, capture_output=True)
    compiled = ctypes.CDLL(str(library))
    assert not hasattr(compiled, "bnprobe_rows_of_16")
    for positions in (1, 7, 8, 31, 49, 64, 100, 256, 300, 2048, 2049):
        check_rows(compiled.bnprobe_rows, 9, positions)


def check_rows(read, channels, positions):
    x = signal((3, channels, positions), 1.0).float()
    x[1, 0, positions // 2] = 0.0
    mean, m2, scalars = np.empty((3, channels)), np.empty((3, channels)), np.empty(3)
    sizes = (0, 3, channels, positions, *x.stride()[:2])
    read.argtypes = [ctypes.c_void_p, *[ctypes.c_ssize_t] * 6, *[ctypes.c_void_p] * 3]
    read(x.data_ptr(), *sizes, mean.ctypes.data, m2.ctypes.data, scalars.ctypes.data)
    right = x.double().numpy()
    assert mean == pytest.approx(right.mean(2), rel=1e-6, abs=1e-6)
    assert m2 == pytest.approx(right.var(2) * positions, rel=1e-5, abs=1e-9)
    assert scalars.tolist() == [right.min(), right.max(), 1.0]


def test_energies_of_one_sample_without_a_batch_axis():
    x = signal((5, 7, 9), 1.0)
    assert energies(x, Layout(channel=1, is_single=True)) == energies(x[None], CHANNELS_FIRST)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_energies_of_a_signal_that_is_not_finite(value):
    x = signal((6, 5, 7, 9), 1.0)
    x[2, 3, 1, 1] = value
    assert energies(x, CHANNELS_FIRST) == (math.inf, math.inf)


def test_energies_of_nothing_but_zeros():
    assert energies(torch.zeros(4, 3, 2, 2), CHANNELS_FIRST) == (0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("bad", [[math.nan], [math.inf], [-math.inf], [math.nan, math.inf, -math.inf]])
@pytest.mark.parametrize(("shape", "layout"), [((6, 5, 7, 9), CHANNELS_FIRST), ((4, 33, 17), CHANNELS_LAST), ((64, 10), CHANNELS_FIRST)])
def test_values_that_are_not_finite(path, shape, layout, bad, dtype):
    x = signal(shape, 1.0, dtype)
    flat = x.view(-1)
    flat[7] = 0.0
    flat[11] = -0.0
    for index, value in enumerate(bad):
        flat[37 * index + 20] = value
    kept = flat[torch.isfinite(flat)]
    found = measured(x, layout)
    assert (found["nonfinite"], found["zeros"]) == (len(bad), 2.0)
    assert (found["low"], found["high"]) == (float(kept.min()), float(kept.max()))
    assert np.isinf(found["mean"]).all() and np.isinf(found["variance"]).all() and np.isinf(found["between"]).all()
    assert found["common"] == found["between_energy"] == found["variance_energy"] == math.inf and found["dead"] == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_finite_at_all(path, value):
    found = measured(torch.full((3, 2, 4, 4), value), CHANNELS_FIRST)
    assert found["nonfinite"] == 96.0 and found["zeros"] == 0.0
    assert math.isnan(found["low"]) and math.isnan(found["high"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(4, 6, 8, 8), (40, 30), (4, 6, 8, 7)])
@pytest.mark.parametrize("where", ["first sample", "last sample", "everywhere", "nowhere"])
def test_zeros_of_either_sign_are_counted(path, shape, where, dtype):
    x = signal(shape, 0.0, dtype)
    x[x == 0] = 1.0
    rng = np.random.default_rng(1)
    for zero, share in ((0.0, 0.3), (-0.0, 0.2)):
        mask = torch.from_numpy(rng.random(shape) < share)
        if where == "first sample":
            mask[1:] = False
        elif where == "last sample":
            mask[:-1] = False
        elif where == "nowhere":
            mask[:] = False
        x[mask] = zero
    count = int((x == 0).sum())
    assert (count > 0) == (where != "nowhere")
    assert agree(x, CHANNELS_FIRST)["zeros"] == count


def test_the_smallest_numbers_are_not_zeros(path):
    x = torch.full((4, 3, 5, 5), 1e-45)
    x[0, 0, 0, 0] = 0.0
    assert measured(x, CHANNELS_FIRST)["zeros"] == 1.0


def test_dead_channels(path):
    x = signal((6, 5, 4, 4), 0.0)
    x[:, 1] = 0.0
    x[:, 3] = -0.0
    x[:, 4] = 0.0
    x[5, 4, 3, 3] = 1e-30  # hardly alive, but alive
    assert agree_on_dead(x) == 2 / 5


def agree_on_dead(x):
    assert measured(x, CHANNELS_FIRST)["dead"] == expected(x, CHANNELS_FIRST)["dead"]
    return measured(x, CHANNELS_FIRST)["dead"]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=5, max_side=7),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    layout=st.sampled_from([CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST]),
)
def test_any_small_signal(path, x, layout):
    if layout is TIME_FIRST and x.ndim < 3:
        layout = CHANNELS_LAST
    agree(torch.from_numpy(x), layout)


# -- micro-batches ----------------------------------------------------------------------------------------------------


def layer_moments(x):
    found = moments(x, CHANNELS_FIRST)
    return Moments(found.samples, found.positions, np.asarray(found.packed, dtype=np.float64))


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("parts", [(8, 8), (15, 1), (1, 1, 1, 13), (4, 5, 3, 4)])
def test_merged_micro_batches_are_the_whole_batch(path, ratio, parts):
    x = signal((16, 6, 5, 5), ratio, torch.float32)
    x[3, 2] = 0.0
    merged = None
    for part in x.split(parts):
        merged = layer_moments(part) if merged is None else merge(merged, layer_moments(part))
    right = expected(x, CHANNELS_FIRST)
    slip = 2 * INNER_MEAN_ROUNDINGS[path] * EPS * max(abs(right["low"]), abs(right["high"]))
    mean, variance, between = merged.packed[:18].reshape(3, 6)
    assert (merged.samples, merged.positions) == (16, 25)
    assert np.abs(mean - right["mean"]).max() <= slip
    for own, name in ((variance, "variance"), (between, "between")):
        allowed = VARIANCE_ROUNDINGS[path] * EPS * right["variance"].max() + 4 * slip * math.sqrt(right[name].max()) + slip**2
        assert np.abs(own - right[name]).max() <= allowed
    summary = dict(zip(NAMES, merged.packed[18:], strict=True))
    assert [summary[name] for name in ("low", "high", "zeros", "nonfinite")] == [right[n] for n in ("low", "high", "zeros", "nonfinite")]
    assert summary["common"] == pytest.approx(float((mean**2).mean()), rel=1e-12)
    assert summary["between_energy"] == pytest.approx(float(between.mean()), rel=1e-12)
    assert summary["variance_energy"] == pytest.approx(float(variance.mean()), rel=1e-12)


def test_merging_a_batch_that_is_not_finite(path):
    good, bad = signal((4, 3, 5, 5), 1.0), signal((4, 3, 5, 5), 1.0)
    bad[0, 0, 0, 0] = math.nan
    for merged in (merge(layer_moments(good), layer_moments(bad)), merge(layer_moments(bad), layer_moments(good))):
        summary = dict(zip(NAMES, merged.packed[9:], strict=True))
        assert summary["nonfinite"] == 1.0
        assert not math.isfinite(summary["common"]) and not math.isfinite(summary["variance_energy"])
        assert (summary["low"], summary["high"]) == (
            float(torch.min(good.min(), bad[torch.isfinite(bad)].min())),
            float(torch.max(good.max(), bad[torch.isfinite(bad)].max())),
        )


THREADED_SHAPES = [
    ((37, 16, 32, 32), CHANNELS_FIRST),
    ((2, 8, 512, 512), CHANNELS_FIRST),
    ((3, 700, 256), CHANNELS_LAST),
    ((4096, 300), CHANNELS_FIRST),
]


@pytest.mark.skipif(not fused.available(), reason="built without a C compiler")
@pytest.mark.parametrize(("shape", "layout"), THREADED_SHAPES)
def test_threads_share_a_signal_and_change_no_figure(shape, layout):
    """Each (sample, channel) is summed by one thread alone, so nothing depends on how many there are."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu_()
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 7):
            torch.set_num_threads(count)
            found.append(moments(x, layout).packed)
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(one, found[0]) for one in found[1:])


@pytest.mark.skipif(not fused.available(), reason="built without a C compiler")
@pytest.mark.parametrize("samples", [4096, 4095, 129])
@pytest.mark.parametrize("ratio", [0.0, 1e4])
def test_many_samples_without_positions(samples, ratio):
    """They are read as a few samples of many positions, and all of their variance is between them all the same."""
    agree(signal((samples, 1100), ratio), CHANNELS_FIRST)


@pytest.mark.skipif(not fused.available(), reason="built without a C compiler")
@pytest.mark.parametrize("present", [0, 1, 3])
def test_every_part_is_read_however_many_threads_there_are(present, monkeypatch):
    """A runtime may give fewer threads than it was asked for; without one the caller reads alone."""
    x = torch.randn((37, 16, 32, 32), generator=torch.Generator().manual_seed(0))
    asked, numbers = [], iter([1, 0, 7])
    thread = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: next(numbers))

    @ctypes.CFUNCTYPE(None, ctypes.CFUNCTYPE(None, ctypes.c_void_p), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    def parallel(work, shared, threads, flags):
        asked.append(threads)
        for _ in range(present):
            work(shared)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    whole = moments(x[:, :, :, :], CHANNELS_FIRST).packed
    places = [ctypes.cast(function, ctypes.c_void_p).value if present else None for function in (parallel, thread)]
    monkeypatch.setattr(fused, "_team", lambda threads: fused._Team(*places, threads))
    assert np.array_equal(moments(x, CHANNELS_FIRST).packed, whole)
    assert asked == ([8] if present else [])


@pytest.mark.skipif(not torch.backends.openmp.is_available(), reason="this torch does without OpenMP")
def test_the_threads_are_those_of_torch():
    assert None not in fused._runtime()


@pytest.mark.skipif(not fused.available(), reason="built without a C compiler")
def test_a_library_that_was_compiled_for_another_version_is_not_called(monkeypatch):
    monkeypatch.setattr(fused, "INTERFACE", fused.INTERFACE + 1)
    assert fused._library.__wrapped__() is None
