"""Tables: one row an observation, equal to what the run file holds."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.errors import UsageError
from bnprobe.integrations.tables import AXES, rows, table, tables
from bnprobe.store.reader import read_run
from bnprobe.store.schema import VARIABLES
from tests import synthetic_runs


@pytest.fixture
def run(tmp_path):
    return read_run(synthetic_runs.thinned(tmp_path / "run.h5"))


def test_a_row_of_layers_is_the_cell_of_the_run_file(run):
    layers = table(run, "layers")
    at = {step: row for row, step in enumerate(run["step"].tolist())}
    place = {name: column for column, name in enumerate(run["layer"].tolist())}
    chosen = [(at[step], place[name]) for step, name in zip(layers["step"].tolist(), layers["layer"].tolist(), strict=True)]
    assert len(set(chosen)) == rows(layers) > 0
    for name in ("activation_rms", "activation_gradient_rms"):
        np.testing.assert_array_equal(layers[name], [run[name][pair] for pair in chosen])
    # what is left out was observed nowhere
    left = np.ones((run.steps, len(run.layers)), dtype=bool)
    left[tuple(np.array(chosen).T)] = False
    assert left.any()
    for name, variable in VARIABLES.items():
        if variable.dims == ("step", "layer") and variable.dtype.startswith("f"):
            assert np.isnan(run[name][left]).all(), name


def test_the_common_mode_fraction_is_of_the_energies_beside_it(run):
    layers = table(run, "layers")
    energies = [layers[f"activation_{part}_energy"] for part in ("common", "between", "within")]
    np.testing.assert_allclose(layers["common_mode_fraction"], energies[0] / sum(energies))


def test_channels_bear_the_name_of_their_layer(run):
    channels = table(run, "channels")
    for index, layer in enumerate(run.layers):
        own = channels["layer"] == layer.name
        expected = run["channel_mean"][:, run.channel_slice(index)]
        np.testing.assert_array_equal(channels["channel_mean"][own], expected.ravel())


def test_every_variable_stands_in_a_table(run):
    shown = {name for which in AXES for name in table(run, which)}
    # The channel axis alone has its index only, and the points of line probes by channel are read from the file.
    apart = {name for name, variable in VARIABLES.items() if variable.dims in {("probe_point", "channel"), ("channel",), ("snapshot",)}}
    indices = {"probe", "probe_point", "event", "resumption", "coverage", "what_if", "what_if_point", "bin", "logit", "singular"}
    assert set(VARIABLES) - apart - indices <= shown


def test_all_columns_of_a_table_are_equally_long(run):
    for columns in tables(run).values():
        assert len({len(column) for column in columns.values()}) == 1


def test_a_run_without_a_step_has_tables(tmp_path):
    empty = read_run(synthetic_runs.zero_steps(tmp_path / "run.h5"))
    assert "layers" not in tables(empty)
    assert all(rows(table(empty, name)) == 0 for name in ("steps", "layers", "channels", "parameters"))


def test_an_unknown_table_is_named(run):
    with pytest.raises(UsageError, match="no table 'weights'") as refused:
        table(run, "weights")
    assert "layer_list" in (refused.value.hint or "")
