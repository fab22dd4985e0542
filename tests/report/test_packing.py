from __future__ import annotations

import base64
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from bnprobe.report.packing import pack, pack_levels, to_json


def unpack(packed: dict) -> np.ndarray:
    levels = np.frombuffer(base64.b64decode(packed["levels"]), f"<{packed['type']}").reshape(packed["shape"])
    return np.where(levels == 0, np.nan, packed["low"] + (levels.astype(float) - 1) * packed["step"])


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (300, 400)])
def test_levels_come_back_within_half_a_step(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(scale=30, size=shape)
    values[0, 0] = np.nan
    packed = pack_levels(values)
    back = unpack(packed)
    assert np.array_equal(np.isnan(back), np.isnan(values))
    assert np.nanmax(np.abs(back - values), initial=0) <= packed["step"] / 2 + 1e-9


@pytest.mark.parametrize("values", [np.full((2, 3), np.nan), np.zeros((2, 3)), np.full((2, 3), 1e300), np.zeros((0, 0))])
def test_levels_of_constant_and_empty_maps(values: np.ndarray) -> None:
    packed = json.loads(to_json(pack_levels(values)))
    assert np.allclose(unpack(packed), values, equal_nan=True)


def test_repeated_labels_are_written_once() -> None:
    figure = go.Figure()
    names = np.array(["conv", "relu"], dtype=object)
    figure.add_heatmap(z=np.zeros((2, 500)), customdata=np.broadcast_to(names[:, None], (2, 500)))
    assert pack(figure)["data"][0]["customdata"] == {"columns": 500, "each": ["conv", "relu"]}


def test_json_cannot_end_its_element() -> None:
    text = to_json({"</script>": ["<!--", "\u2028", "&amp;"]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": ["<!--", "\u2028", "&amp;"]}


def test_json_has_no_words_that_only_python_knows() -> None:
    figure = go.Figure(layout={"xaxis": {"range": [0.0, 1.0]}})
    figure.add_scatter(x=[0.0, float("nan")], y=[float("inf"), 1.0])
    text = to_json(pack(figure))
    assert "NaN" not in text and "Infinity" not in text


def test_steps_that_differ_by_cell_are_written_as_what_they_add_to_their_column() -> None:
    cells = np.array([[10, 20, 30], [11, 20, 30 + 300]])
    figure = go.Figure().add_heatmap(z=np.zeros((2, 3)), text=cells)
    packed = pack(figure)["data"][0]["text"]
    assert (packed["type"], packed["least"]) == ("u2", [10, 20, 30])
    added = np.frombuffer(base64.b64decode(packed["added"]), "<u2").reshape(2, 3)
    assert (added + packed["least"] == cells).all()
