from __future__ import annotations

from bnprobe.analyse.layers import counted
from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.layer_details import layer_details
from bnprobe.report.layer_keys import layer_keys, layer_numbers
from bnprobe.report.terminal import summary
from tests.synthetic_runs import residual_recording


def test_a_layer_is_known_by_its_name_and_where_that_is_twice_by_its_channels_and_order() -> None:
    one, other = residual_recording(steps=2, blocks=1), residual_recording(steps=2, blocks=1)
    for layer in other.layers:
        layer["channels"] *= 2
    assert len({tuple(keys) for keys in layer_keys([one.run(), other.run()])}) == 1
    for place, channels in ((0, 8), (2, 16), (4, 16)):
        one.layers[place] |= {"layer": "twice", "channels": channels}
    other.layers[0] |= {"layer": "twice", "channels": 16}
    first, second = layer_keys([one.run(), other.run()])
    assert [first[place] for place in (0, 2, 4)] == [("twice", 8, 0), ("twice", 16, 0), ("twice", 16, 1)]
    assert second[0] == first[2]
    assert len(set(first)) == len(first)


def test_what_a_module_was_given_is_counted_with_it() -> None:
    made = residual_recording(steps=2, blocks=1)
    made.layers[1] |= {"layer": f"{made.layers[2]['layer']}:input", "layer_role": "input"}
    run = made.run()
    assert len(counted(run)) == len(run.layers) - 1
    assert layer_numbers(run) == [1, 2, *range(2, len(run.layers))]
    count = layer_details(RunView.of(run))["count"]
    assert count == max(layer_numbers(run)) == analyse_runs([run])[0].layer_count == len(run.layers) - 1, (
        "the panel of a layer, and the page"
    )
    assert f"{count}: " in summary(run), "the terminal"
